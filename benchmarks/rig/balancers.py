"""Ways to choose a replica: those that proxies offer, and the product's own code."""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from benchmarks.rig.fleet import BLOCK_TOKENS, Arrival, Fleet, Flight, Size
from fivelevers.levers.prompt_cache.affinity import Ending, Path, Placement, Replica, path_of
from fivelevers.levers.prompt_cache.prefix import Position, Section
from fivelevers.stores.affinity_memory import MemoryAffinity

_KEY_TOKENS = 1024  # a shorter key is one for all where all prompts begin alike
_POINTS = 200  # of each replica on the ring
_BOUND = 1.25


class Balancer(Protocol):
    async def choose(self, arrival: Arrival, fleet: Fleet) -> int: ...

    def sent(self, flight: Flight) -> None: ...

    async def ended(self, flight: Flight, at_s: float) -> None: ...


class _Forgetful:
    """Needs to hear of no flight."""

    def sent(self, flight: Flight) -> None:
        pass

    async def ended(self, flight: Flight, at_s: float) -> None:
        pass


class Drawn(_Forgetful):
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def choose(self, arrival: Arrival, fleet: Fleet) -> int:
        return self._rng.randrange(len(fleet.replicas))


class RoundRobin(_Forgetful):
    def __init__(self) -> None:
        self._next = 0

    async def choose(self, arrival: Arrival, fleet: Fleet) -> int:
        self._next += 1
        return (self._next - 1) % len(fleet.replicas)


class LeastBusy(_Forgetful):
    """The fewest requests in flight, drawn among equals."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def choose(self, arrival: Arrival, fleet: Fleet) -> int:
        return min(range(len(fleet.replicas)), key=lambda at: (fleet.in_flight[at], self._rng.random()))


class BoundedHash(_Forgetful):
    """Consistent hashing of the prompt's beginning with bounded loads: nobody above 1.25 times the mean (CHWBL)."""

    def __init__(self, replicas: int) -> None:
        self._ring = sorted((_point(f"{at}/{point}"), at) for at in range(replicas) for point in range(_POINTS))

    async def choose(self, arrival: Arrival, fleet: Fleet) -> int:
        key = arrival.blocks[min(_KEY_TOKENS // BLOCK_TOKENS, len(arrival.blocks)) - 1] if arrival.blocks else -1
        limit = math.ceil(_BOUND * (sum(fleet.in_flight) + 1) / len(fleet.in_flight))
        start = bisect(self._ring, (_point(str(key)), 0))
        for step in range(len(self._ring)):
            replica = self._ring[(start + step) % len(self._ring)][1]
            if fleet.in_flight[replica] < limit:
                return replica
        raise AssertionError("somebody is below the mean")


def _point(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


class Ours:
    """The product's decision, its belief kept in this process. It hears of a first token when the answer has ended."""

    def __init__(self, replicas: int, told: Size | None) -> None:
        names = [f"replica-{at}" for at in range(replicas)]
        self._replicas = [Replica(name, told.kv_tokens, told.tokens_per_s) if told else Replica(name) for name in names]
        self._index = {name: at for at, name in enumerate(names)}
        self._now_s = 0.0
        self._store = MemoryAffinity(lambda: self._now_s)
        self._placed: Placement | None = None
        self._open: dict[int, Placement] = {}

    async def choose(self, arrival: Arrival, fleet: Fleet) -> int:
        self._now_s = arrival.at_s
        self._placed = await self._store.place("fleet", self._replicas, _path(arrival))
        return self._index[self._placed.replica.id]

    def sent(self, flight: Flight) -> None:
        assert self._placed is not None
        self._open[flight.number] = self._placed

    async def ended(self, flight: Flight, at_s: float) -> None:
        self._now_s = at_s
        placement = self._open.pop(flight.number)
        first_token_ago_s = at_s - flight.arrival.at_s - flight.ttft_s
        missing = placement.missing(flight.cached_tokens, flight.arrival.tokens)
        await self._store.ended(placement, Ending(first_token_ago_s=first_token_ago_s, missing=missing))


def _path(arrival: Arrival) -> Path:
    ends = range(BLOCK_TOKENS, BLOCK_TOKENS * len(arrival.blocks) + 1, BLOCK_TOKENS)
    blocks = zip(arrival.blocks, ends, strict=True)
    positions = [Position(name.to_bytes(8, "big"), end, Section.MESSAGES, at) for at, (name, end) in enumerate(blocks)]
    return Path(path_of(positions).steps, arrival.tokens)


def balancers(replicas: int, size: Size, seed: int) -> dict[str, Callable[[], Balancer]]:
    """By name; ``fivelevers_untold`` is ours without a word about the replicas' size."""
    return {
        "random": lambda: Drawn(seed),
        "round_robin": RoundRobin,
        "least_busy": lambda: LeastBusy(seed),
        "chwbl": lambda: BoundedHash(replicas),
        "fivelevers": lambda: Ours(replicas, size),
        "fivelevers_untold": lambda: Ours(replicas, None),
    }
