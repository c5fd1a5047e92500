"""`fivelevers plan`: where each route stands, and the one next step in the order of the levers."""

from __future__ import annotations

import difflib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fivelevers.adoption import Known, Step, next_step, refusal
from fivelevers.cli.check import DEFAULT_POLICY
from fivelevers.cli.logs import AsJson, PriceMap, Prices, price_book
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.cli.plan_tables import plan_tables
from fivelevers.cli.report import parse_since
from fivelevers.cli.savings import as_json as ends_as_json
from fivelevers.errors import FiveLeversError

if TYPE_CHECKING:
    from fivelevers.cli.plan_known import Projection
    from fivelevers.policy import Policy

Planned = dict[str, tuple[tuple[Known, ...], Step | None]]


def plan(
    policy: Annotated[
        Path | None,
        typer.Argument(envvar="FIVELEVERS_POLICY", help=f"The policy file; default: {DEFAULT_POLICY}."),
    ] = None,
    *,
    route: Annotated[str, typer.Option(help="This route alone.")] = "",
    since: Annotated[str, typer.Option(help="What the ledger has of: a span such as 14d, or a date.")] = "30d",
    apply: Annotated[bool, typer.Option("--apply", help="Show the steps as a diff, and write them.")] = False,
    project: Annotated[bool, typer.Option(help="Project what is off from the calls in the ledger.")] = True,
    prices: Prices = "",
    price_map: PriceMap = "",
    as_json: AsJson = False,
    state_dir: StateDir = STATE_DIR,
    ledger: LedgerUrl = "",
) -> None:
    """For each route: the state of each lever, what is known of it and how, and the one next step with what it saves.

    The levers come in their order: what a later one could save is only known once those before it act, or are settled
    as not paying or not applicable. So routing is not recommended before caching is measured, nor FP8 before routing.

    --apply changes the modes in the policy file, and nothing else in it; of a file that may not be written it prints
    the patch. Exit code 0: fine; 1: with --apply, there was nothing to change; 2: could not run.
    """
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.cli.plan_known import projections
    from fivelevers.policy import load

    console, path = Console(highlight=False), policy or DEFAULT_POLICY
    try:
        found, url = load(path), ledger_url(ledger, state_dir)
        start, book = parse_since(since, now=time.time()), price_book(prices, price_map)
        _renewed(state_dir, url)
        projected = projections(url, found, book, start) if project else {}
        planned, short = _planned(found, route, start, url, projected, folder=path.parent)
    except (FiveLeversError, OSError, ValueError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers plan: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(_record(planned), indent=2))  # noqa: T201
    else:
        console.print(plan_tables(planned, short=short))
    if apply:
        raise typer.Exit(0 if _apply(path, planned, console) else 1)


def _renewed(state_dir: Path, url: str) -> None:
    """The ledger, of this release's form, with what proxies left in the spool."""
    from fivelevers.meter import Meter
    from fivelevers.stores.ledger import Ledger

    ledger = Ledger(url)
    try:
        ledger.create()
    finally:
        ledger.close()
    Meter(state_dir, url).drain()


def _planned(
    policy: Policy, route: str, since: float, url: str, projected: Mapping[str, Projection], *, folder: Path
) -> tuple[Planned, bool]:
    """The plan, and whether the ledger has less than a day of these routes. ``folder``: of the policy file."""
    from fivelevers.cli.plan_known import ENOUGH_S, known_of, read_books
    from fivelevers.stores.ledger import Ledger
    from fivelevers.stores.route_traffic import traffic

    chosen = [one for one in policy.routes if route in ("", one.name)]
    if not chosen:
        names = ", ".join(one.name for one in policy.routes)
        raise ValueError(f"--route: {route!r} is no route of the policy; there are {names}")
    ledger = Ledger(url)
    try:
        books = read_books(ledger, url, since, projected, folder)
        known = {one.name: known_of(one, books) for one in chosen}
        short = not any(traffic(ledger, one.name, since).span_s >= ENOUGH_S for one in chosen)
    finally:
        ledger.close()
    return {name: (levers, next_step(levers)) for name, levers in known.items()}, short


def _apply(path: Path, planned: Planned, console: Console) -> bool:
    """Write the steps that change something, after their diff; whether there was one. Exits where that fails."""
    from fivelevers.policy.editing import EditError, edited

    before = after = path.read_text(encoding="utf-8")
    try:
        for name, (_, step) in planned.items():
            if step is not None and step.change:
                after = edited(after, str(path), name, step.lever, step.change)
    except EditError as error:
        Console(stderr=True, highlight=False).print(f"fivelevers plan: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    diff = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path.name}", f"b/{path.name}")
    _say(console, diff)
    if before == after:
        return False
    try:
        _replace(path, after)
    except OSError as error:
        console.print(f"{path} can not be written ({error.strerror}): above is the patch", markup=False, soft_wrap=True)
        return True
    console.print(f"{path}: written; proxies read it within seconds", markup=False, soft_wrap=True)
    return True


def _say(console: Console, diff: Iterable[str]) -> None:
    for line in diff:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "")
        console.print(line.rstrip("\n"), style=style, markup=False, soft_wrap=True)


def _replace(path: Path, text: str) -> None:
    """At once, so that no proxy reads half of it."""
    path = path.resolve()
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "permission denied")
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.chmod(path.stat().st_mode & 0o7777)
    new.replace(path)


def _record(planned: Planned) -> list[dict[str, Any]]:
    return [_route_record(name, known, step) for name, (known, step) in planned.items()]


def _route_record(name: str, known: Sequence[Known], step: Step | None) -> dict[str, Any]:
    levers = [{**asdict(one), "saving_usd_a_month": ends_as_json(one.saving)} for one in known]
    for lever in levers:
        del lever["saving"]
    told = None
    if step is not None:
        told = {**asdict(step), "saving_usd_a_month": ends_as_json(step.saving)}
        del told["saving"]
    later, why = refusal(known)
    return {"route": name, "levers": levers, "next": told, "not_yet": {"levers": later, "why": why}}
