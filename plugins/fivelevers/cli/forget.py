"""`fivelevers forget`: delete what is kept of a tenant or an end user, and show by search that nothing is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.errors import LedgerError, StoreError

if TYPE_CHECKING:
    from fivelevers.stores.forget import Forgetter, Subject, Traces
    from fivelevers.stores.ledger import Ledger


def forget(
    *,
    tenant: Annotated[str, typer.Option(help="A team's id (or team:ID), or key:ALIAS or key:HASH.")] = "",
    end_user: Annotated[str, typer.Option(help="An end user, as requests name them.")] = "",
    team: Annotated[str, typer.Option(help="With --end-user: that of this team alone.")] = "",
    expired: Annotated[bool, typer.Option("--expired", help="Content whose retention has passed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this it only counts.")] = False,
    state_dir: StateDir = STATE_DIR,
    ledger: LedgerUrl = "",
) -> None:
    """Delete all that is kept of a tenant or an end user, and search for what is left.

    That is content, stored answers, requests of the lane, outcomes, attempts and costs.

    Their money is in no later report. Exit code 0: nothing is left (or, without --yes, nothing was to be done); 1: the
    search found something; 2: could not run.
    """
    console = Console(highlight=False)
    if sum((bool(tenant), bool(end_user), expired)) != 1 or (team and not end_user):
        raise typer.BadParameter("name one: --tenant T, --end-user E (with --team T if you like), or --expired")
    try:
        with _opened(state_dir, ledger_url(ledger, state_dir)) as opened:
            if expired:
                left = _forget_expired(opened, yes, console)
            else:
                left = _forget_subject(opened, state_dir, _subject(tenant, end_user, team), yes, console)
    except (LedgerError, StoreError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers forget: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(1 if left else 0)


@contextmanager
def _opened(state_dir: Path, url: str) -> Iterator[Ledger]:
    """The ledger, with all in it that the spool held."""
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.meter import Meter
    from fivelevers.stores.forget_spool import hand_over
    from fivelevers.stores.ledger import Ledger

    with closing(Meter(state_dir, url)) as meter:
        hand_over(state_dir / "spool", meter.drain)
    ledger = Ledger(url)
    try:
        ledger.create()
        yield ledger
    finally:
        ledger.close()


def _subject(tenant: str, end_user: str, team: str) -> Subject:
    from fivelevers.stores.forget import Subject, SubjectKind

    return Subject(SubjectKind.END_USER, end_user, team or None) if end_user else Subject.of_tenant(tenant)


def _forget_subject(ledger: Ledger, state_dir: Path, subject: Subject, yes: bool, console: Console) -> int:
    from fivelevers.stores.forget_answers import AnswerForgetter
    from fivelevers.stores.forget_lane import LaneForgetter
    from fivelevers.stores.forget_ledger import LedgerForgetter
    from fivelevers.stores.forget_spool import SpoolForgetter
    from fivelevers.stores.redis_async import answers_url
    from fivelevers.stores.redis_config import LANE_URL

    of_ledger = LedgerForgetter(ledger)
    # Whatever else keeps data of subjects (artifacts) stands here too.
    answers, lane = AnswerForgetter(answers_url(os.environ)), LaneForgetter(os.environ.get(LANE_URL, ""))
    forgetters: tuple[Forgetter, ...] = (lane, of_ledger, SpoolForgetter(state_dir / "spool"), answers)
    traces = of_ledger.traces(subject)
    if not yes:
        found = _all(forgetter.find(traces) for forgetter in forgetters)
        console.print(_table({"found": found}))
        console.print("Nothing was deleted: add --yes to delete it.")
        return 0
    return _forget_for_good(forgetters, traces, console)


def _forget_for_good(forgetters: tuple[Forgetter, ...], traces: Traces, console: Console) -> int:
    removed = _all(forgetter.remove(traces) for forgetter in forgetters)
    left = _all(forgetter.left(traces) for forgetter in forgetters)
    console.print(_table({"removed": removed, "left": left}))
    if sum(left.values()):
        console.print(
            "The search found the subject where it says so: requests since, or a name that others' rows mention too."
        )
    return sum(left.values())


def _forget_expired(ledger: Ledger, yes: bool, console: Console) -> int:
    from fivelevers.stores.content import expire
    from fivelevers.stores.content import expired as count

    now = time.time()
    if not yes:
        console.print(_table({"found": {"content": count(ledger, now)}}))
        console.print("Nothing was deleted: add --yes to delete it.")
        return 0
    removed = 0
    while batch := expire(ledger, now):
        removed += batch
    left = count(ledger, now)
    console.print(_table({"removed": {"content": removed}, "left": {"content": left}}))
    return left


def _all(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    return {where: count for one in counts for where, count in one.items()}


def _table(columns: dict[str, dict[str, int]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("where", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right")
    for where in dict.fromkeys(where for counts in columns.values() for where in counts):
        table.add_row(where, *(f"{counts[where]:,}" if where in counts else "" for counts in columns.values()))
    return table
