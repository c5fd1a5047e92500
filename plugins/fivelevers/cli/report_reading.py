"""The ledger, read for the report: as lines, and as what a page of it says."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.metering.attribution import Waste, WasteKind
from fivelevers.metering.interval import CostPerSuccess
from fivelevers.metering.measured import Measured, measure
from fivelevers.metering.report import Cluster, GroupBy, Line, Totals, build, over_time
from fivelevers.metering.wrong_hits import Hits, by_route, wasted
from fivelevers.pages.report_page import Promise, Told
from fivelevers.switch import NOTHING_OFF, Action, Switch

if TYPE_CHECKING:
    from fivelevers.stores.ledger import Ledger

_STEPS_DAYS: Final = (1, 7, 28)
_MAX_WRONG: Final = 0.03  # the lever's default, for a route that nobody calibrated


def read_lines(state_dir: Path, url: str, by: GroupBy, since: float, until: float = inf) -> list[Line]:
    """The report's lines from the ledger at ``url``. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters, savings_by_lever

    with _ledger(state_dir, url) as ledger:
        beside, _ = _beside(ledger, by, since, until)
        return build(clusters(ledger, by, since, until), savings_by_lever(ledger, by, since, until), beside)


def read_proof(state_dir: Path, url: str, since: float, until: float = inf) -> tuple[list[Measured], list[Switch]]:
    """What the holdout of each route says, and which levers their guards put back to shadow. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters

    with _ledger(state_dir, url) as ledger:
        return measure(clusters(ledger, GroupBy.ROUTE, since, until)), _retreats(ledger)


def _retreats(ledger: Ledger) -> list[Switch]:
    from fivelevers.stores.switch_history import read

    return [one for one in NOTHING_OFF.merged(read(ledger)).standing if one.action is Action.RETREAT]


def read_told(state_dir: Path, url: str, by: GroupBy, since: float, until: float = inf) -> Told:
    """Everything that a page of the report says. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters, savings_by_lever

    with _ledger(state_dir, url) as ledger:
        found = list(clusters(ledger, by, since, until, daily=True))
        beside, hits = _beside(ledger, by, since, until)
        lines = build(found, savings_by_lever(ledger, by, since, until), beside)
        total = _total(ledger, by, found, since, until)
        promises = _promises(ledger, hits)
        retreats = _retreats(ledger)
    step_days, steps = _steps(found)
    held: defaultdict[str, Totals] = defaultdict(Totals)
    for one in found:
        if one.holdout:
            held[one.group] += one.totals
    measured = measure(found) if by is GroupBy.ROUTE else []
    return Told(by, since, until, total, lines, steps, step_days, held, promises, measured, retreats)


@contextmanager
def _ledger(state_dir: Path, url: str) -> Iterator[Ledger]:
    """With what the spool of the state directory still had."""
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.meter import Meter
    from fivelevers.stores.ledger import Ledger

    Meter(state_dir, url).drain()
    ledger = Ledger(url)
    try:
        ledger.create()
        yield ledger
    finally:
        ledger.close()


def _beside(
    ledger: Ledger, by: GroupBy, since: float, until: float
) -> tuple[Mapping[str, tuple[Waste, ...]], list[Hits]]:
    """The waste that no attempt tells by itself, by group; and lever 2's semantic hits."""
    from fivelevers.stores.waste_query import semantic_hits, unread_writes

    hits = semantic_hits(ledger, by, since, until)
    kinds = {
        WasteKind.UNREAD_CACHE_WRITE: unread_writes(ledger, by, since, until, now=time.time()),
        WasteKind.WRONG_HIT: wasted(hits),
    }
    groups = {group for sums in kinds.values() for group in sums}
    told = {group: tuple(Waste(kind, sums[group]) for kind, sums in kinds.items() if group in sums) for group in groups}
    return told, hits


def _total(ledger: Ledger, by: GroupBy, found: list[Cluster], since: float, until: float) -> Line:
    """Of everything once: a request with two tags stands under both."""
    from fivelevers.stores.report_query import clusters, savings_by_lever

    all_of_it = clusters(ledger, GroupBy.TOTAL, since, until) if by is GroupBy.TAG else _as_one(found)
    beside, _ = _beside(ledger, GroupBy.TOTAL, since, until)
    lines = build(all_of_it, savings_by_lever(ledger, GroupBy.TOTAL, since, until), beside)
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


def _promises(ledger: Ledger, hits: list[Hits]) -> tuple[Promise, ...]:
    """Lever 2's promise on each route that serves or audits semantic hits, with what the audits can say of it."""
    from fivelevers.stores.calibrations import latest

    allowed = {route: made.detail.get("max_wrong") for route, made in latest(ledger, "semantic_cache").items()}
    return tuple(
        Promise(one, _upper(one), float(allowed.get(one.route) or _MAX_WRONG))
        for one in by_route(hits)
        if one.served or one.judged
    )


def _upper(hits: Hits) -> float | None:
    """The bound that holds at every look; None where the extra `semantic`, whose SciPy it needs, is not installed."""
    from fivelevers.levers.semantic_cache.bound import Rolling

    try:
        return Rolling(hits.judged, hits.wrong).upper()
    except ModuleNotFoundError:
        return None
