"""What the calls of a log cost over time, by route: hours where the log is short, else days (UTC); and what a good
answer cost, where the log says which ones were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.calls import LoggedCall
from fivelevers.metering.interval import Cluster, CostPerSuccess, Coverage, Withheld, cost_per_success

HOUR_S, DAY_S = 3600, 86_400
_HOURS_AT_MOST = 72
"""Of a log that spans no more, hours are told."""


@dataclass(frozen=True, slots=True)
class Spent:
    """``calls`` of a route from ``at`` on (seconds since the epoch); tokens and USD of those with a price.

    ``known`` of them are labelled as good or bad and have a price: what these cost, and how many are ``good``.
    """

    route: str
    at: int
    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)
    known: int = 0
    known_usd: Decimal = Decimal(0)
    good: int = 0

    def __add__(self, other: Spent) -> Spent:
        """Of the same route and time."""
        counts = (self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)
        known = (self.known + other.known, self.known_usd + other.known_usd, self.good + other.good)
        return Spent(self.route, self.at, *counts, *known)


class Spending:
    """Takes the calls in any order. Memory: routes times hours."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, int], Spent] = {}

    def see(self, call: LoggedCall, route: str, charge: Charge | None) -> None:
        """``charge`` None: no price is known."""
        one = Spent(route, int(call.at // HOUR_S) * HOUR_S, 1)
        if charge is not None:
            one = replace(one, tokens=call.usage.total, usd=charge.paid)
        if charge is not None and call.good is not None:
            one = replace(one, known=1, known_usd=charge.paid, good=int(call.good))
        _add(self._hours, one)

    def steps(self) -> tuple[int, list[Spent]]:
        """The length of a step in seconds, and what was spent, by route and time."""
        hours = {at for _, at in self._hours}
        if not hours or max(hours) - min(hours) < _HOURS_AT_MOST * HOUR_S:
            return HOUR_S, list(_in_order(self._hours))
        days: dict[tuple[str, int], Spent] = {}
        for one in self._hours.values():
            _add(days, replace(one, at=one.at // DAY_S * DAY_S))
        return DAY_S, list(_in_order(days))

    def per_success(self) -> dict[str, CostPerSuccess | Withheld]:
        """Of each route with labels. Logs name no session, so an hour is the unit of the interval: what goes wrong at
        once counts once."""
        hours: defaultdict[str, list[Spent]] = defaultdict(list)
        for one in self._hours.values():
            hours[one.route].append(one)
        return {route: _per_success(route, some) for route, some in hours.items() if any(one.known for one in some)}


def _per_success(route: str, hours: list[Spent]) -> CostPerSuccess | Withheld:
    clusters = [Cluster(one.known_usd, one.good) for one in hours if one.known]
    coverage = Coverage(sum(one.known for one in hours), sum(one.calls for one in hours))
    told = cost_per_success(clusters, {route: coverage})
    return replace(told, detail=told.detail.replace("session", "hour")) if isinstance(told, Withheld) else told


def _add(sums: dict[tuple[str, int], Spent], one: Spent) -> None:
    before = sums.get((one.route, one.at))
    sums[one.route, one.at] = one if before is None else before + one


def _in_order(sums: dict[tuple[str, int], Spent]) -> Iterator[Spent]:
    return (sums[key] for key in sorted(sums))
