"""`fivelevers calibrate`: what a lever may do on a route, proven on the route's own traffic."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.cli.switching import AnswersRedis
from fivelevers.errors import CalibrationError, FiveLeversError

if TYPE_CHECKING:
    from fivelevers.levers.semantic_cache.calibrate import Entry, Promise
    from fivelevers.levers.semantic_cache.calibration import Calibration
    from fivelevers.policy import Route, SemanticCacheSwitch

LEVER = "semantic_cache"
_LONGEST_ANSWER_S = 600.0
app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Prove on a route's own traffic what a lever may do."
)


@app.callback()
def _about() -> None:
    """Prove on a route's own traffic what a lever may do there."""


@app.command("semantic-cache")
def semantic_cache(
    *,
    route: Annotated[str, typer.Option(help="The route of the policy.")],
    pairs: Annotated[
        Path | None, typer.Option(help='Labelled questions instead of traffic: lines of {"a", "b", "same"}.')
    ] = None,
    policy: Annotated[str, typer.Option(envvar="FIVELEVERS_POLICY", help="The policy file.")] = "",
    redis: AnswersRedis = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what comes out.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Write the curve as a picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Which questions lever 2 may answer from its store on a route, within the policy's max_wrong.

    In shadow mode the proxies store each question with its vector, and a judge sorts it to the answers that it had.
    This takes every stored question out in turn, decides it against all the others by the route's own rules and a score
    learnt from the rest, and finds the loosest share that is wrong in at most max_wrong of its hits, with 95 %
    confidence. From then on the proxies serve it; they follow within seconds. Another embedder, model or prompt
    re-opens the verdict, and audits call the route back when it is wrong more often.

    Exit code 0: it serves; 1: it does not; 2: could not run.
    """
    from fivelevers.cli.calibration_tables import calibration_svg, calibration_tables
    from fivelevers.levers.semantic_cache.calibrate import Promise

    console = Console(highlight=False)
    try:
        found = _route(route, policy)
        switch = found.levers.semantic_cache
        promise = Promise(switch.max_wrong, switch.judge.share, switch.audit_share)
        made = _made(found, promise, pairs, redis, ledger_url(ledger, state_dir))
        if not dry_run:
            _keep(made, route, ledger_url(ledger, state_dir))
        if svg is not None:
            svg.write_text(calibration_svg(made))
    except (FiveLeversError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers calibrate: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(made.to_json(), indent=2))  # noqa: T201
    else:
        console.print(calibration_tables(made, route, kept=not dry_run))
    raise typer.Exit(0 if made.serves else 1)


def _route(name: str, policy: str) -> Route:
    from fivelevers.policy import load

    if not policy:
        raise CalibrationError("--policy: is missing; name the policy file, or set FIVELEVERS_POLICY")
    routes = {route.name: route for route in load(Path(policy)).routes}
    if name not in routes:
        raise CalibrationError(f"--route: {name!r} is no route of the policy; it has {', '.join(routes)}")
    return routes[name]


def _made(route: Route, promise: Promise, pairs: Path | None, redis: str, ledger: str) -> Calibration:
    from rich.progress import Progress

    from fivelevers.levers.semantic_cache.calibrate import calibrate
    from fivelevers.levers.semantic_cache.calibration import Holds
    from fivelevers.levers.semantic_cache.serve import Settings

    switch = route.levers.semantic_cache
    stored = _of_pairs(pairs) if pairs is not None else _of_route(route, redis)
    traffic = _traffic(route, ledger, since=_before(stored) if pairs is None else 0.0)
    # What another embedder stored stands in other scopes, which no look-up of the present one has.
    stored = [entry for entry in stored if pairs is not None or entry.scope in traffic.scopes or not traffic.scopes]
    holds = Holds(traffic.embedder or _version(switch), tuple(traffic.models), tuple(traffic.prompts))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("taking each question out", total=len(stored))
        return calibrate(stored, Settings.of(switch), promise, holds, told=lambda count: bar.advance(task, count))


def _of_route(route: Route, redis: str) -> list[Entry]:
    from fivelevers.answer import subject_tag
    from fivelevers.providers.minilm import DIMENSION
    from fivelevers.stores.answer_entries import entries

    if not redis:
        raise CalibrationError("--redis: is missing; name the Redis of the proxies, or set FIVELEVERS_REDIS_URL")
    dimension = route.levers.semantic_cache.embedder.dimension or DIMENSION
    return entries(redis, subject_tag(f"route:{route.name}"), dimension)


def _of_pairs(path: Path) -> list[Entry]:
    from fivelevers.cli.labelled_pairs import entries_of

    return entries_of(path)


def _before(stored: list[Entry]) -> float:
    """When the first of them can have been looked up: it is stored once its answer has ended."""
    return min((entry.at for entry in stored), default=0.0) - _LONGEST_ANSWER_S


@dataclass(slots=True)
class _Traffic:
    """The look-ups of the embedder that the route uses now."""

    embedder: str = ""
    scopes: set[str] = field(default_factory=set)
    models: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    prompts: dict[str, None] = field(default_factory=dict)


def _traffic(route: Route, ledger: str, *, since: float) -> _Traffic:
    """Of a route, from ``since`` on: what is calibrated holds for these models and prompts alone."""
    from fivelevers.stores.calibrations import look_ups_of
    from fivelevers.stores.ledger import Ledger

    opened, found = Ledger(ledger), _Traffic()
    opened.create()
    try:
        for row in look_ups_of(opened, route.name, since):
            if row["embedder"] != found.embedder:
                found = _Traffic(row["embedder"])
            found.scopes.add(row["scope"])
            found.prompts[str(row["seen"]["prompt"])] = None
            found.models[str(row["seen"]["model"])] = None
    finally:
        opened.close()
    return found


def _version(switch: SemanticCacheSwitch) -> str:
    from fivelevers.providers.minilm import MiniLm

    return MiniLm().version if switch.embedder.in_process else switch.embedder.model


def _keep(made: Calibration, route: str, url: str) -> None:
    import time

    from fivelevers.stores.calibrations import Calibrated, add
    from fivelevers.stores.ledger import Ledger
    from fivelevers.stores.switches import operator

    opened = Ledger(url)
    opened.create()
    try:
        add(opened, Calibrated(time.time(), route, LEVER, operator(), made.to_json()))
    finally:
        opened.close()
