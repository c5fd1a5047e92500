"""The report: for each group what it cost, what it would have cost, and what a successful answer cost. Pure.

The ledger hands over one `Cluster` per group, session and arm (stores/report_query.py); `build` adds them up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from operator import add, attrgetter

from fivelevers.metering import interval
from fivelevers.metering.attribution import Waste, WasteKind
from fivelevers.metering.interval import CostPerSuccess, Coverage, Withheld, cost_per_success
from fivelevers.prices import Usage

ZERO = Decimal(0)


class GroupBy(StrEnum):
    TOTAL = "total"
    ROUTE = "route"
    TEAM = "team"
    KEY = "key"
    TAG = "tag"
    MODEL = "model"
    ARM = "arm"  # of each route: the levers that were on for the session, or holdout


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over attempts; money in USD. ``requests`` counts answers, superseded attempts are in ``attempts`` alone.

    ``known_cost`` is of all attempts of requests whose outcome is known, ``failed_cost`` of answers that failed, and
    ``failure_cost`` what their routes charge for the damage (policy, `failure_cost_usd`), which is on no bill;
    ``superseded_cost`` is of attempts that failed and were replaced, ``discarded_cost`` of those that had succeeded;
    ``double_billed_cost`` is of the ``late_rows``, whose batch came after they had been answered live; ``proof_cost``
    of a lever's other calls of its own (judging, embedding). Attempts without a price are in ``unpriced`` and in no sum
    of money.
    """

    requests: int = 0
    attempts: int = 0
    successes: int = 0
    failures: int = 0
    unpriced: int = 0
    estimated: int = 0
    late_rows: int = 0
    usage: Usage = Usage()  # noqa: RUF009  frozen, so one default serves all
    cost: Decimal = ZERO
    list_cost: Decimal = ZERO
    cost_without_us: Decimal = ZERO
    known_cost: Decimal = ZERO
    failed_cost: Decimal = ZERO
    failure_cost: Decimal = ZERO
    superseded_cost: Decimal = ZERO
    discarded_cost: Decimal = ZERO
    double_billed_cost: Decimal = ZERO
    proof_cost: Decimal = ZERO
    estimated_cost: Decimal = ZERO

    def __add__(self, other: Totals) -> Totals:
        return Totals(*map(add, _amounts(self), _amounts(other)))

    @property
    def known(self) -> int:
        return self.successes + self.failures

    @property
    def saved(self) -> Decimal:
        return self.cost_without_us - self.cost


_amounts = attrgetter(*(f.name for f in fields(Totals)))


@dataclass(frozen=True, slots=True)
class Cluster:
    """One session of one group and arm; where it is told by ``day``, of that one (whole UTC days since the epoch)."""

    group: str
    session: str
    holdout: bool
    totals: Totals
    day: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report. ``savings`` by lever and basis sum to ``totals.saved`` exactly. ``beside``: waste that
    is not told by the attempts' own sums."""

    group: str
    totals: Totals
    savings: tuple[tuple[str, str, Decimal], ...]
    cost_per_success: CostPerSuccess | Withheld
    beside: tuple[Waste, ...] = ()

    @property
    def usd_per_million_tokens(self) -> Decimal | None:
        tokens = self.totals.usage.total
        return self.totals.cost * 1_000_000 / tokens if tokens else None

    @property
    def coverage(self) -> float:
        """The share of requests whose outcome is known."""
        return self.totals.known / self.totals.requests if self.totals.requests else 0.0

    @property
    def waste(self) -> tuple[Waste, ...]:
        """What the ledger can tell of it, each kind once."""
        told = {
            WasteKind.FAILED_REQUEST: self.totals.failed_cost,
            WasteKind.SUPERSEDED_ATTEMPT: self.totals.superseded_cost,
            WasteKind.DISCARDED_WEAK_CALL: self.totals.discarded_cost,
            WasteKind.DOUBLE_BILLED_RESCUE: self.totals.double_billed_cost,
        }
        told |= {waste.kind: waste.usd for waste in self.beside}
        return tuple(Waste(kind, told.get(kind, ZERO)) for kind in WasteKind)


def build(
    clusters: Iterable[Cluster],
    savings: Iterable[tuple[str, str, str, Decimal]] = (),
    beside: Mapping[str, tuple[Waste, ...]] | None = None,
) -> list[Line]:
    """The lines, dearest first. ``savings``: (group, lever, basis, USD); ``beside`` by group."""
    beside = beside or {}
    totals: defaultdict[str, Totals] = defaultdict(Totals)
    sessions: defaultdict[str, dict[str, interval.Cluster]] = defaultdict(dict)
    for cluster in clusters:
        totals[cluster.group] += cluster.totals
        if cluster.totals.known:
            _add(sessions[cluster.group], cluster)
    parts: defaultdict[str, list[tuple[str, str, Decimal]]] = defaultdict(list)
    for group, lever, basis, usd in savings:
        parts[group].append((lever, basis, usd))
    lines = [
        Line(
            group,
            sums,
            tuple(parts[group]),
            _per_success(group, sums, list(sessions[group].values())),
            beside.get(group, ()),
        )
        for group, sums in totals.items()
    ]
    return sorted(lines, key=lambda line: (-line.totals.cost, line.group))


def over_time(
    clusters: Iterable[Cluster], step_days: int = 1, first: int | None = None
) -> list[tuple[int, list[Line]]]:
    """(first day, lines) of each step that has traffic, in order; ``clusters`` by day. Steps begin with the ``first``
    day; None: the first that has traffic."""
    told = list(clusters)
    if first is None:
        first = min((cluster.day for cluster in told), default=0)
    steps: defaultdict[int, list[Cluster]] = defaultdict(list)
    for cluster in told:
        steps[cluster.day - (cluster.day - first) % step_days].append(cluster)
    return [(day, build(steps[day])) for day in sorted(steps)]


def _add(sessions: dict[str, interval.Cluster], cluster: Cluster) -> None:
    """A session is one, on however many days."""
    cost, successes = cluster.totals.known_cost + cluster.totals.failure_cost, cluster.totals.successes
    if (before := sessions.get(cluster.session)) is not None:
        cost, successes = cost + before.cost_usd, successes + before.successes
    sessions[cluster.session] = interval.Cluster(cost, successes)


def _per_success(group: str, sums: Totals, sessions: list[interval.Cluster]) -> CostPerSuccess | Withheld:
    if sums.unpriced:
        detail = f"{sums.unpriced} attempts have no price; state it in the price override file"
        return Withheld(interval.Reason.UNPRICED, detail)
    return cost_per_success(sessions, {group: Coverage(sums.known, sums.requests)})
