"""A log in arrival order through the same decision as live traffic: what marking would have read and written.

The projection believes the provider as the live decision does: an entry lives for its TTL from the last read on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from fivelevers.levers.prompt_cache.breakpoints import Decision, decide
from fivelevers.levers.prompt_cache.node import Node
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.reuse import Gaps, Hazards, gaps_of
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules

NODES = 2_000_000  # some 500 MB; the ones that were touched longest ago go first
MEMORY_S = 7200.0  # as long as a store remembers a prefix that nobody comes back to


class Replay:
    """Node states and reuse statistics of a log. Rows must come in the order in which they arrived."""

    def __init__(self, max_nodes: int = NODES) -> None:
        self._max_nodes = max_nodes
        self._nodes: OrderedDict[bytes, Node] = OrderedDict()
        self._hazards: dict[str, Hazards] = {}

    def take(
        self, route: str, positions: Sequence[Position], prices: CachePrices, rules: CacheRules, *, at: float
    ) -> Decision:
        """The decision for the next row. ``at`` in seconds; ``route`` names the reuse statistics that it shares."""
        hazards = self._hazards.get(route)
        if hazards is None:
            hazards = self._hazards[route] = Hazards()
        known = {p.node: node for p in positions if (node := self._nodes.get(p.node)) is not None}
        decision = decide(positions, known, hazards, prices, rules, now=at)
        hazards.add(decision.counts)
        for name, node in decision.nodes.items():
            self._nodes[name] = node
            self._nodes.move_to_end(name)
        self._forget(at)
        return decision

    def fork(self, route: str, max_nodes: int) -> Replay:
        """What is known by now of a route, for other rows to go on from: the prefixes that were touched last."""
        forked = Replay(max_nodes)
        latest = list(islice(reversed(self._nodes.items()), max_nodes))
        forked._nodes.update(reversed(latest))
        if route in self._hazards:
            forked._hazards[route] = Hazards(self._hazards[route].counts)
        return forked

    def reusable(self, positions: Sequence[Position]) -> int:
        """Tokens at the start of the next row that an earlier one had too: no cache of prefixes could read more."""
        known = (position.tokens for position in reversed(positions) if position.node in self._nodes)
        return next(known, 0)

    @property
    def remembered(self) -> int:
        """Prefixes in memory."""
        return len(self._nodes)

    def gaps(self) -> dict[str, Gaps]:
        """How soon the prefixes of each route were seen again."""
        return {route: gaps_of(hazards.counts) for route, hazards in self._hazards.items()}

    def _forget(self, now: float) -> None:
        while self._nodes and (len(self._nodes) > self._max_nodes or self._oldest().last_seen < now - MEMORY_S):
            self._nodes.popitem(last=False)

    def _oldest(self) -> Node:
        return next(iter(self._nodes.values()))
