"""The decision: which prefixes of a request to have cached, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fivelevers.levers.prompt_cache.node import Entry, Node, Role
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules


class Reason(StrEnum):
    """Why a place is marked."""

    READ = "read"
    REFRESH = "refresh"
    SECTION = "section"
    BRANCH = "branch"
    TAIL = "tail"
    LOOK_BACK = "look-back"


@dataclass(frozen=True, slots=True)
class Mark:
    """``at``: index of the position. ``ttl_s``: lifetime asked for."""

    at: int
    ttl_s: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Use:
    """What a request does to the cache, in prompt tokens: ``written`` by TTL, ``fresh`` neither read nor written."""

    read: int = 0
    written: Mapping[int, int] = field(default_factory=dict)
    fresh: int = 0

    def cost(self, prices: CachePrices) -> float:
        """In uncached prompt tokens; a TTL without a price counts as uncached."""
        written = sum(count * prices.write.get(ttl_s, 1.0) for ttl_s, count in self.written.items())
        return self.read * prices.read + written + self.fresh


@dataclass(frozen=True, slots=True)
class Decision:
    """``marks``: ours alone, in the order of the prompt. ``expected``: with the client's and ours.

    ``client_alone``: what the same request would have read and written had we never marked anything. ``nodes``: states
    to store, by node. ``counts``: increments of the route's reuse statistics.
    """

    marks: tuple[Mark, ...] = ()
    expected: Use = Use()
    client_alone: Use = Use()
    nodes: Mapping[bytes, Node] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Correction:
    """What reported usage teaches. ``evicted``: an entry that we believed live was gone; ``wasted`` tokens counted."""

    nodes: Mapping[bytes, Node] = field(default_factory=dict)
    evicted: bool = False
    missed_tokens: int = 0


def decide(
    positions: Sequence[Position],
    nodes: Mapping[bytes, Node],
    hazards: Hazards,
    prices: CachePrices,
    rules: CacheRules,
    *,
    now: float,
) -> Decision:
    """Never more than ``rules.max_marks`` with the client's own, never a longer TTL after a shorter one."""
    total = positions[-1].tokens if positions else 0
    own = [position for position in positions if position.mark_s is not None]
    ttl_s = rules.ttls_s[0]
    if not positions or own or total < rules.minimum_tokens or ttl_s not in prices.write or not rules.max_marks:
        return Decision(expected=Use(fresh=total), client_alone=Use(fresh=total))
    places = [at for at in range(len(positions)) if positions[at].markable]
    live = [at for at in places if (node := nodes.get(positions[at].node)) and node.entry and node.entry.live(now)]
    read = positions[live[-1]].tokens if live else 0
    marks = [Mark(live[-1], ttl_s, Reason.READ)] if live and live[-1] != places[-1] else []
    marks += [Mark(places[-1], ttl_s, Reason.TAIL)] if places else []
    written = {ttl_s: total - read} if places else {}
    state = Node(now, Role.TIP, entry=Entry(ttl_s, now + ttl_s))
    use = Use(read, written, 0 if places else total - read)
    return Decision(tuple(marks), use, Use(fresh=total), {positions[mark.at].node: state for mark in marks})


def observe(
    positions: Sequence[Position],
    decision: Decision,
    reported: Use | None,
    *,
    now: float,
) -> Correction:
    """``reported``: usage as the provider billed it, None where the request failed and nothing was cached."""
    return Correction()
