"""Lever 1 on what lever 2 leaves: a call that is answered from the store renews no entry, and lever 1 learns nothing.

The same calls but for those are replayed a second time, on routes that have such calls, from the first of them on.
After so many calls of a route the rest is taken to cool by as much for each dollar: a second replay of all of a long
log takes minutes, and tells nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from fivelevers.audit.answer_lines import ZERO, Taken
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.replay import Replay
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules
from fivelevers.metering.cost import rounded

_ROUTES_AT_MOST: Final = 50
_NODES: Final = 100_000  # of each: some 25 MB
REPLAYED: Final = 20_000  # calls of each


@dataclass(frozen=True, slots=True)
class Marked:
    """A call as lever 1 had marked it. ``plain``: USD of an uncached prompt token; ``usd``: of its input."""

    route: str
    positions: Sequence[Position]
    prices: CachePrices
    rules: CacheRules
    at: float
    plain: Decimal
    usd: Decimal


@dataclass(slots=True)
class _Second:
    """The second replay of a route, None at its end. ``usd``: of its ``calls`` as the first one marked them; ``more``
    than that."""

    replay: Replay | None
    calls: int = 0
    usd: Decimal = ZERO
    more: Decimal = ZERO

    def take(self, call: Marked, at_most: int) -> Decimal:
        if self.replay is None:
            return rounded(call.usd * self.more / self.usd) if self.usd else ZERO
        decision = self.replay.take(call.route, call.positions, call.prices, call.rules, at=call.at)
        more = rounded(Decimal(str(decision.expected.cost(call.prices))) * call.plain) - call.usd
        self.calls, self.usd, self.more = self.calls + 1, self.usd + call.usd, self.more + more
        if self.calls >= at_most:
            self.replay = None
        return more


class Cooled:
    """Takes the calls in arrival order."""

    def __init__(self, replayed: int = REPLAYED) -> None:
        self._replayed = replayed
        self._seconds: dict[str, _Second] = {}

    def see(self, call: Marked, taken: Taken, replay: Replay) -> Decimal:
        """USD that the call's input costs more, had the answered ones not been sent; below 0: less.

        ``replay``: of all calls, this one included.
        """
        known = self._seconds.get(call.route)
        if taken is Taken.SURELY:
            if known is None and len(self._seconds) < _ROUTES_AT_MOST:
                self._seconds[call.route] = _Second(replay.fork(call.route, _NODES))
            return ZERO
        return ZERO if known is None else known.take(call, self._replayed)
