"""What the calls of a log cost over time, by route: hours where the log is short, else days (UTC)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.calls import LoggedCall

HOUR_S, DAY_S = 3600, 86_400
_HOURS_AT_MOST = 72
"""Of a log that spans no more, hours are told."""


@dataclass(frozen=True, slots=True)
class Spent:
    """``calls`` of a route from ``at`` on (seconds since the epoch), their tokens, and USD of those with a price."""

    route: str
    at: int
    calls: int = 0
    tokens: int = 0
    usd: Decimal = Decimal(0)


class Spending:
    """Takes the calls in any order. Memory: routes times hours."""

    def __init__(self) -> None:
        self._hours: dict[tuple[str, int], Spent] = {}

    def see(self, call: LoggedCall, route: str, charge: Charge | None) -> None:
        """``charge`` None: no price is known."""
        at = int(call.at // HOUR_S) * HOUR_S
        usd = charge.paid if charge else Decimal(0)
        self._add(self._hours, Spent(route, at, 1, call.usage.total, usd))

    def steps(self) -> tuple[int, list[Spent]]:
        """The length of a step in seconds, and what was spent, by route and time."""
        hours = {at for _, at in self._hours}
        if not hours or max(hours) - min(hours) < _HOURS_AT_MOST * HOUR_S:
            return HOUR_S, list(self._in_order(self._hours))
        days: dict[tuple[str, int], Spent] = {}
        for one in self._hours.values():
            self._add(days, replace(one, at=one.at // DAY_S * DAY_S))
        return DAY_S, list(self._in_order(days))

    @staticmethod
    def _add(sums: dict[tuple[str, int], Spent], one: Spent) -> None:
        before = sums.get((one.route, one.at), Spent(one.route, one.at))
        counts = before.calls + one.calls, before.tokens + one.tokens
        sums[one.route, one.at] = Spent(one.route, one.at, *counts, before.usd + one.usd)

    @staticmethod
    def _in_order(sums: dict[tuple[str, int], Spent]) -> Iterator[Spent]:
        return (sums[key] for key in sorted(sums))
