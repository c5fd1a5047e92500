"""`fivelevers cache`: what lever 2 has stored, and taking it back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.off import PolicyPath, known_routes
from fivelevers.cli.switching import AnswersRedis
from fivelevers.errors import StoreError
from fivelevers.switch import ANY, check

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Take back answers that lever 2 has stored.")


@app.callback()
def _about() -> None:
    """Take back answers that lever 2 has stored."""


@app.command()
def forget(
    *,
    route: Annotated[str, typer.Option(help="Everything of this route.")] = "",
    tenant: Annotated[str, typer.Option(help="Everything of team:ID or key:HASH.")] = "",
    model: Annotated[str, typer.Option(help="Everything that this model alias answered.")] = "",
    tag: Annotated[str, typer.Option(help="Answers to requests with this tag.")] = "",
    entry: Annotated[str, typer.Option(help="One answer: what x-fivelevers-semantic-cache-entry named.")] = "",
    redis: AnswersRedis = "",
    policy: PolicyPath = "",
) -> None:
    """Make stored answers unfindable, on every proxy within a second.

    A route, tenant or model gets a new epoch: nothing that was stored before is found again, and it expires in its
    time. Answers with a tag, and single ones, are deleted. To delete a tenant's data for good: `fivelevers forget`.

    Exit code 0: done; 1: there was no such answer; 2: could not run.
    """
    given = {"route": route, "tenant": tenant, "model": model, "tag": tag, "entry": entry}
    chosen = [(what, name) for what, name in given.items() if name]
    if len(chosen) != 1:
        raise typer.BadParameter("name one: --route, --tenant, --model, --tag or --entry")
    what, name = chosen[0]
    try:
        check(route or ANY, ANY, None, known_routes(policy))
        done = asyncio.run(_forget(redis, what, name))
    except (StoreError, ValueError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers cache: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    typer.echo(f"{what} {name}: {done}" if done else f"{what} {name}: nothing is stored")
    raise typer.Exit(0 if done else 1)


async def _forget(url: str, what: str, name: str) -> str:
    from fivelevers.stores.answers import Answers

    store = Answers(url)
    try:
        return await store.take_back(what, name)
    finally:
        await store.close()
