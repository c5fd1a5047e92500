"""A lower bound on what any policy pays that knows the future: no online policy is below it.

Every stretch of prompt between two places is paid for by itself, as if its tokens could be cached without regard to
the others: at each visit they are read, where an entry is still live, or else left uncached or written for one of the
TTLs; the cheapest sequence is found by dynamic programming. This leaves out whatever could only cost more: that a
prefix is cached whole or not at all, four marks, the minimum, 2 s until an entry can be read, and that the long TTL of
what is read already must be bought with something written behind it (here it is free). What it keeps is where entries
can end: at the visit that first shows a place where prompts part, nobody can have an entry there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.rig.prefix_cache import READ, WRITE
from benchmarks.rig.prefix_trace import Arrival

_Visits = list[tuple[float, bool]]  # when, and whether an entry could have been read


def clairvoyant(arrivals: Sequence[Arrival], read: float = READ) -> float:
    """Input cost relative to uncached."""
    depth, parent, readable = _tree(arrivals)
    visits: dict[bytes, _Visits] = {}
    for arrival, end in zip(arrivals, readable, strict=True):
        node = arrival.positions[-1].node if arrival.positions else None
        while node is not None:
            visits.setdefault(node, []).append((arrival.at, depth[node] <= end))
            node = parent[node]
    tokens = sum(arrival.tokens for arrival in arrivals)
    saved = 0.0
    for node, times in visits.items():
        above = parent[node]
        saved += (depth[node] - (depth[above] if above else 0)) * (len(times) - _cheapest(times, read))
    return 1.0 - saved / tokens


def _tree(arrivals: Sequence[Arrival]) -> tuple[dict[bytes, int], dict[bytes, bytes | None], list[int]]:
    """Depth in tokens and parent of each place as known in the end; and how far each arrival could have read."""
    depth: dict[bytes, int] = {}
    parent: dict[bytes, bytes | None] = {}
    readable = []
    for arrival in arrivals:
        known = [p.tokens for at, p in enumerate(arrival.positions) if p.node in depth and at != arrival.split]
        readable.append(max(known, default=0))
        above: bytes | None = None
        for position in arrival.positions:
            depth[position.node] = position.tokens
            before = parent.get(position.node)
            if before is None or (above is not None and depth[above] > depth[before]):
                parent[position.node] = above
            above = position.node
    return depth, parent, readable


def _cheapest(times: _Visits, read: float) -> float:
    """Cost per token over all visits. ``best[s]``: with an entry of the s-th TTL left behind, 0 for none."""
    ttls, writes = (0, *WRITE), (1.0, *WRITE.values())
    best = list(writes)
    for (before, _), (now, can_read) in pairwise(times):
        live = [cost for cost, ttl in zip(best, ttls, strict=True) if can_read and now - before < ttl]
        cheapest = min(best)
        renewed = min(live, default=float("inf")) + read
        best = [
            min(cheapest + write, renewed) if ttl else cheapest + 1.0 for ttl, write in zip(ttls, writes, strict=True)
        ]
        if live:
            best[0] = min(best[0], renewed)
    return min(best)
