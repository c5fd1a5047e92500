"""Lever 1 on what lever 2 leaves: a call that is answered from the store renews no entry, and lever 1 learns nothing.

The same calls but for those are replayed a second time, on routes that have such calls, from the first of them on.
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


class Cooled:
    """Takes the calls in arrival order."""

    def __init__(self) -> None:
        self._replays: dict[str, Replay] = {}

    def see(self, call: Marked, taken: Taken, replay: Replay) -> Decimal:
        """USD that the call's input costs more, had the answered ones not been sent; below 0: less.

        ``replay``: of all calls, this one included.
        """
        known = self._replays.get(call.route)
        if taken is Taken.SURELY:
            if known is None and len(self._replays) < _ROUTES_AT_MOST:
                self._replays[call.route] = replay.fork(call.route, _NODES)
            return ZERO
        if known is None:
            return ZERO
        decision = known.take(call.route, call.positions, call.prices, call.rules, at=call.at)
        return rounded(Decimal(str(decision.expected.cost(call.prices))) * call.plain) - call.usd
