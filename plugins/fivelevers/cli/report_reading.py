"""The ledger, read for the report: as lines, and as what a page of it says."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.metering.attribution import Waste, WasteKind
from fivelevers.metering.interval import CostPerSuccess
from fivelevers.metering.measured import Measured, measure
from fivelevers.metering.report import Cluster, GroupBy, Line, Totals, build, over_time
from fivelevers.metering.wrong_hits import wasted
from fivelevers.pages.numbers import DAY_S
from fivelevers.pages.report_page import Promise, Told
from fivelevers.switch import NOTHING_OFF, Action, Switch

if TYPE_CHECKING:
    from fivelevers.metering.wrong_hits import Hits
    from fivelevers.stores.calibrations import Audits
    from fivelevers.stores.ledger import Ledger

    _Audited = Sequence[tuple[Hits, Audits]]  # by route

_STEPS_DAYS: Final = (1, 7, 28)


@dataclass(frozen=True, slots=True)
class _Period:
    """What the ledger has of [``since``, ``until``), seconds since the epoch."""

    ledger: Ledger
    since: float
    until: float

    def lines(self, by: GroupBy, found: Iterable[Cluster], audited: _Audited) -> list[Line]:
        from fivelevers.stores.report_query import savings_by_lever

        savings = savings_by_lever(self.ledger, by, self.since, self.until)
        return build(found, savings, self._beside(by, audited))

    def total(self, all_of_it: Sequence[Cluster], audited: _Audited) -> Line:
        """Of everything once: a session of two groups is one."""
        found = [replace(one, group="all") for one in all_of_it] or [Cluster("all", "", holdout=False, totals=Totals())]
        return self.lines(GroupBy.TOTAL, found, audited)[0]

    def audited(self) -> _Audited:
        """Lever 2's hits and audits by route, whatever the report is by: under tags one audit is several or none."""
        from fivelevers.stores.calibrations import audits
        from fivelevers.stores.waste_query import semantic_hits

        hits = semantic_hits(self.ledger, GroupBy.ROUTE, self.since, self.until)
        return [(one, audits(self.ledger, one.route, self.since, self.until)) for one in hits]

    def _beside(self, by: GroupBy, audited: _Audited) -> Mapping[str, tuple[Waste, ...]]:
        """The waste that no attempt tells by itself, by group."""
        from fivelevers.stores.waste_query import semantic_hits, unread_writes

        wrong = {hits.route: Decimal(seen.wrong) / seen.judged for hits, seen in audited if seen.judged}
        kinds = {
            WasteKind.UNREAD_CACHE_WRITE: unread_writes(self.ledger, by, self.since, self.until, now=time.time()),
            WasteKind.WRONG_HIT: wasted(semantic_hits(self.ledger, by, self.since, self.until), wrong),
        }
        groups = {group for sums in kinds.values() for group in sums}
        return {
            group: tuple(Waste(kind, sums[group]) for kind, sums in kinds.items() if group in sums) for group in groups
        }


def read_lines(state_dir: Path, url: str, by: GroupBy, since: float, until: float = inf) -> list[Line]:
    """The report's lines from the ledger at ``url``. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters

    with _ledger(state_dir, url) as ledger:
        period = _Period(ledger, since, until)
        return period.lines(by, clusters(ledger, by, since, until), period.audited())


def read_proof(state_dir: Path, url: str, since: float, until: float = inf) -> tuple[list[Measured], list[Switch]]:
    """What the holdout of each route says, and which levers their guards put back to shadow. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters

    with _ledger(state_dir, url) as ledger:
        return measure(clusters(ledger, GroupBy.ROUTE, since, until)), _retreats(ledger)


def _retreats(ledger: Ledger) -> list[Switch]:
    from fivelevers.stores.switch_history import read

    return [one for one in NOTHING_OFF.merged(read(ledger)).standing if one.action is Action.RETREAT]


def read_told(state_dir: Path, url: str, by: GroupBy, since: float, until: float = inf) -> Told:
    """Everything that a page of the report says; ``until`` at most the end of its last day. Raises LedgerError."""
    from fivelevers.stores.report_query import clusters

    with _ledger(state_dir, url) as ledger:
        found = list(clusters(ledger, by, since, until, daily=True))
        # A request with two tags stands under both, one without tags under none.
        apart = by is not GroupBy.TAG
        all_of_it = found if apart else list(clusters(ledger, GroupBy.TOTAL, since, until, daily=True))
        period = _Period(ledger, since, until)
        audited = period.audited()
        lines, total = period.lines(by, found, audited), period.total(all_of_it, audited)
        promises = _promises(ledger, audited)
        retreats = _retreats(ledger)
        measured = measure(found if by is GroupBy.ROUTE else clusters(ledger, GroupBy.ROUTE, since, until))
    days = [one.day for one in all_of_it]
    step_days, steps = _steps(found, min(days, default=0))
    parts, part_steps = (lines, steps) if apart else ([total], over_time(all_of_it, step_days))
    held: defaultdict[str, Totals] = defaultdict(Totals)
    for one in all_of_it:
        if one.holdout:
            held[one.group] += one.totals
    until = min(until, (max(days, default=0) + 1) * DAY_S)
    return Told(by, since, until, total, lines, steps, step_days, parts, part_steps, held, promises, measured, retreats)


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


def _steps(found: Sequence[Cluster], first: int) -> tuple[int, list[tuple[int, list[Line]]]]:
    """The shortest steps from the ``first`` day on in which most lines tell what a good answer cost; the longest where
    none do, days where no outcome is known."""
    if not any(one.totals.known for one in found):
        return 1, over_time(found)
    days, steps = 1, list[tuple[int, list[Line]]]()
    for days in _STEPS_DAYS:
        steps = over_time(found, days, first)
        known = [line.cost_per_success for _, lines in steps for line in lines if line.totals.known]
        if sum(isinstance(value, CostPerSuccess) for value in known) * 2 > len(known):
            break
    return days, steps


def _promises(ledger: Ledger, audited: _Audited) -> tuple[Promise, ...]:
    """What each route with hits or audits promises by its latest calibration, and what its audits can say of it."""
    from fivelevers.stores.calibrations import latest

    made = {route: one.detail.get("max_wrong") for route, one in latest(ledger, "semantic_cache").items()}
    return tuple(
        Promise(hits.route, hits.served, seen.judged, seen.wrong, _upper(seen), made.get(hits.route))
        for hits, seen in sorted(audited, key=lambda one: (-one[0].served - one[1].judged, one[0].route))
        if hits.served or seen.judged
    )


def _upper(seen: Audits) -> float | None:
    """The bound that holds at every look; None where the extra `semantic`, whose SciPy it needs, is not installed."""
    from fivelevers.levers.semantic_cache.bound import Rolling

    try:
        return Rolling(seen.judged, seen.wrong).upper()
    except ModuleNotFoundError:
        return None
