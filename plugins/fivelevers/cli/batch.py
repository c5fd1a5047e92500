"""`fivelevers batch`: what lever 3's lane holds, by the lane's own Redis; no proxy needs to run."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from fivelevers.errors import StoreError

if TYPE_CHECKING:
    from fivelevers.stores.lane import Lane, LaneStats

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look into lever 3's lane, and empty it.")

LaneRedis = Annotated[str, typer.Option("--redis", envvar="FIVELEVERS_LANE_REDIS_URL", help="The lane's Redis.")]
Json = Annotated[bool, typer.Option("--json", help="Everything, for programs.")]
_BATCH = re.compile("[0-9a-f]{16}")
_AGAIN_S = 2.0


@app.callback()
def _about() -> None:
    """Look into lever 3's lane, and empty it."""


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Of the batches, the latest so many.")] = 20,
    as_json: Json = False,
    redis: LaneRedis = "",
) -> None:
    """What waits, by model and endpoint, and the latest batches.

    Exit code 0: fine; 2: could not run.
    """
    from fivelevers.cli.lane_tables import batch_document, group_document, lane_table
    from fivelevers.stores.lane_batches import Batches

    async def look(lane: Lane) -> tuple[LaneStats, list[Any]]:
        return await lane.stats(), await Batches(lane).shown(limit)

    stats, batches = _run(redis, look)
    if as_json:
        _print({"groups": [group_document(g) for g in stats.groups], "batches": [batch_document(b) for b in batches],
                "asked_live": stats.live, "untold": stats.untold})  # fmt: skip
    else:
        Console(highlight=False).print(lane_table(stats, batches, time.time()))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A request (flr_...) or a batch (16 hexadecimal digits).")],
    *,
    redis: LaneRedis = "",
) -> None:
    """One request, or one batch with the states of its requests; as JSON, without texts.

    Exit code 0: it is there; 1: it is not; 2: could not run.
    """
    from fivelevers.cli.lane_tables import batch_document, request_document
    from fivelevers.stores.lane_batches import Batches

    async def look(lane: Lane) -> dict[str, Any] | None:
        if not _BATCH.fullmatch(name):
            view = await lane.view(name)
            return None if view is None else request_document(view)
        batch = await Batches(lane).read(name)
        if batch is None:
            return None
        views = [await lane.view(f"flr_{row}") for row in await Batches(lane).rows(batch)]
        return batch_document(batch) | {"requests": {v.work.id: v.state.value for v in views if v is not None}}

    found = _run(redis, look)
    if found is None:
        typer.echo(f"{name}: the lane has no such request or batch", err=True)
        raise typer.Exit(1)
    _print(found)


@app.command()
def cancel(
    names: Annotated[list[str], typer.Argument(help="Requests (flr_...), or batches: all requests of theirs.")],
    *,
    redis: LaneRedis = "",
) -> None:
    """Cancel requests. What a provider has already may still be on its bill; nobody waits for it any more.

    Exit code 0: all are cancelled; 1: some were not there or had ended; 2: could not run.
    """
    from fivelevers.levers.batch.work import WorkState
    from fivelevers.stores.lane_batches import Batches

    async def act(lane: Lane) -> bool:
        all_cancelled = True
        for name in names:
            batch = await Batches(lane).read(name) if _BATCH.fullmatch(name) else None
            ids = [name] if batch is None else [f"flr_{row}" for row in await Batches(lane).rows(batch)]
            for work_id in ids:
                view = await lane.cancel(work_id)
                said = "not there" if view is None else view.state.value
                typer.echo(f"{work_id}: {said}")
                all_cancelled &= said == WorkState.CANCELLED.value
        return all_cancelled

    raise typer.Exit(0 if _run(redis, act) else 1)


@app.command()
def drain(
    *,
    within: Annotated[float, typer.Option(min=0, help="Seconds until it gives up waiting.")] = 86_400.0,
    redis: LaneRedis = "",
) -> None:
    """Send all that waits now, and wait until the lane is empty: before its Redis is moved or switched off.

    First say `fivelevers off --lever batch`: then nothing new comes. Workers must run; this command is none.

    Exit code 0: empty; 1: not in time; 2: could not run.
    """
    from fivelevers.stores.lane_batches import Batches

    async def act(lane: Lane) -> int:
        until, said = time.monotonic() + within, ""
        while True:
            await Batches(lane).flush()
            stats = await lane.stats()
            waiting, sent = sum(group.queued for group in stats.groups), sum(stats.open_requests.values())
            told = f"{waiting} wait, {sent} in batches, {stats.live} asked live, {stats.untold} not metered yet"
            if told != said:
                typer.echo(told)
            said, left = told, waiting + sent + stats.live + stats.untold
            if not left or time.monotonic() > until:
                return left
            await asyncio.sleep(_AGAIN_S)

    raise typer.Exit(1 if _run(redis, act) else 0)


def _run(url: str, act: Callable[[Lane], Awaitable[T]]) -> T:
    from fivelevers.stores.lane import Lane

    async def asked() -> T:
        lane = Lane(url)
        try:
            return await act(lane)
        finally:
            await lane.close()

    try:
        return asyncio.run(asked())
    except StoreError as error:
        Console(stderr=True, highlight=False).print(f"fivelevers batch: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error


def _print(document: object) -> None:
    typer.echo(json.dumps(document, indent=2))
