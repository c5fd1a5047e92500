"""What the commands that write pages share: the ledger read for one, and the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.metering.interval import CostPerSuccess
from fivelevers.metering.report import Cluster, GroupBy, Line, Totals, build, over_time
from fivelevers.pages.report_page import Told

if TYPE_CHECKING:
    from fivelevers.stores.ledger import Ledger

_STEPS_DAYS: Final = (1, 7, 28)


def read_told(state_dir: Path, url: str, by: GroupBy, since: float, until: float = inf) -> Told:
    """Everything that a page of the report says. Raises LedgerError."""
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.meter import Meter
    from fivelevers.stores.ledger import Ledger
    from fivelevers.stores.report_query import clusters, savings_by_lever

    Meter(state_dir, url).drain()
    ledger = Ledger(url)
    try:
        ledger.create()
        found = list(clusters(ledger, by, since, until, daily=True))
        lines = build(found, savings_by_lever(ledger, by, since, until))
        total = _total(ledger, by, found, since, until)
    finally:
        ledger.close()
    step_days, steps = _steps(found)
    return Told(by, since, until, total, lines, steps, step_days)


def _total(ledger: Ledger, by: GroupBy, found: list[Cluster], since: float, until: float) -> Line:
    """Of everything once: a request with two tags stands under both."""
    from fivelevers.stores.report_query import clusters, savings_by_lever

    all_of_it = clusters(ledger, GroupBy.TOTAL, since, until) if by is GroupBy.TAG else _as_one(found)
    lines = build(all_of_it, savings_by_lever(ledger, GroupBy.TOTAL, since, until))
    return lines[0] if lines else build([Cluster("all", "", holdout=False, totals=Totals())])[0]


def _as_one(found: Iterable[Cluster]) -> Iterator[Cluster]:
    """Sessions of two groups are two: nobody but the group's name tells them apart."""
    return (replace(one, group="all", session=f"{one.group}\n{one.session}") for one in found)


def _steps(found: list[Cluster]) -> tuple[int, list[tuple[int, list[Line]]]]:
    """The shortest steps in which most lines tell what a good answer cost; days where none do."""
    by_day = over_time(found)
    for days in _STEPS_DAYS:
        steps = by_day if days == 1 else over_time(found, days)
        known = [line.cost_per_success for _, lines in steps for line in lines if line.totals.known]
        if sum(isinstance(value, CostPerSuccess) for value in known) * 2 > len(known):
            return days, steps
    return 1, by_day


def write_page(path: Path, page: str) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
