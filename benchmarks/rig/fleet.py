"""A fleet of model servers as queues, and the requests that come to it.

A replica computes the tokens of a prompt that it has not cached, one prompt after the other, at a fixed rate; the first
token leaves when it has. Its KV cache keeps full blocks and evicts those used longest ago, the end of a prompt first.
An answer then takes a steady time per output token, during which the request is in flight and its replica is free: what
decoding costs prefill is left out.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLAUDE_CODE_HOURS = 8.0
BLOCK_TOKENS = 512  # of the replicas; traces with smaller blocks are read in blocks of this size


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request. ``blocks``: the full blocks of its prompt, each named by all that comes before it too."""

    at_s: float
    blocks: tuple[int, ...]
    tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Size:
    """What each replica can hold and how fast it computes."""

    kv_tokens: int
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    arrivals: tuple[Arrival, ...]
    size: Size  # stated for it


def read(file: Path, seed: int, at_most: int | None = None) -> Workload:
    """A Mooncake trace or Claude Code sessions, told apart by their fields. Raises ValueError for anything else."""
    with file.open(encoding="utf-8") as lines:
        first = json.loads(next(lines, "{}"))
    if {"timestamp", "hash_ids"} <= first.keys():
        return Workload("mooncake", tuple(_mooncake(file))[:at_most], Size(1_000_000, 8000))
    if {"bs", "r"} <= first.keys():
        return Workload("claude_code", tuple(_claude_code(file, seed))[:at_most], Size(3_000_000, 30_000))
    raise ValueError(f"{file}: neither a Mooncake trace nor Claude Code sessions")


def _mooncake(file: Path) -> Iterator[Arrival]:
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        full = row["input_length"] // BLOCK_TOKENS
        yield Arrival(row["timestamp"] / 1000, tuple(row["hash_ids"][:full]), row["input_length"], row["output_length"])


def _claude_code(file: Path, seed: int) -> list[Arrival]:
    """Sessions begin at random within 8 hours; what is later is left out, and so are sub-agents."""
    rng, until_s = random.Random(seed), CLAUDE_CODE_HOURS * 3600
    arrivals: list[Arrival] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        session, begins_s = json.loads(line), rng.random() * until_s
        step = BLOCK_TOKENS // session["bs"]
        for request in session["r"]:
            if isinstance(request, list) and begins_s + request[0] <= until_s:
                ids = [block for first, last in request[6] for block in range(first, last + 1)]
                blocks = tuple(number << 32 | block for block in ids[step - 1 :: step])
                arrivals.append(Arrival(begins_s + request[0], blocks, request[2], request[3]))
    return sorted(arrivals, key=lambda arrival: arrival.at_s)


def conversations(seed: int, at_most: int | None = None) -> Workload:
    """Chats of 4 to 16 turns behind one system prompt of 3,072 tokens, 1,536 more a turn, one every 16 s on average."""
    rng, arrivals, begins_s = random.Random(seed), [], 0.0
    system = tuple(range(6))
    for number in range(1, 451):
        begins_s += rng.expovariate(1 / 16)
        at_s, blocks = begins_s, system
        for turn in range(rng.randint(4, 16)):
            blocks += tuple(number << 32 | 3 * turn + part for part in range(3))
            arrivals.append(Arrival(at_s, blocks, BLOCK_TOKENS * len(blocks) + 100, 200))
            at_s += rng.expovariate(1 / 300)
    arrivals.sort(key=lambda arrival: arrival.at_s)
    return Workload("conversations", tuple(arrivals)[:at_most], Size(500_000, 8000))


@dataclass(slots=True)
class Replica:
    size: Size
    free_at_s: float = 0.0
    computed: int = 0
    cached: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def serve(self, arrival: Arrival) -> tuple[int, float]:
        """(tokens found in the cache, seconds to the first token)."""
        hit = 0
        for block in arrival.blocks:
            if block not in self.cached:
                break
            hit += BLOCK_TOKENS
        for block in reversed(arrival.blocks):
            self.cached[block] = None
            self.cached.move_to_end(block)
        while len(self.cached) * BLOCK_TOKENS > self.size.kv_tokens:
            self.cached.popitem(last=False)
        rest = arrival.tokens - hit
        self.computed += rest
        self.free_at_s = max(self.free_at_s, arrival.at_s) + rest / self.size.tokens_per_s
        return hit, self.free_at_s - arrival.at_s


@dataclass(frozen=True, slots=True)
class Flight:
    """A request on its way: at which replica, when its first token left and how much of it was cached."""

    number: int
    arrival: Arrival
    replica: int
    ttft_s: float
    cached_tokens: int


class Fleet:
    """Replicas and what is in flight to them."""

    def __init__(self, sizes: Sequence[Size], decode_s: float) -> None:
        self.replicas = [Replica(size) for size in sizes]
        self.in_flight = [0] * len(sizes)
        self._decode_s = decode_s
        self._ends: list[tuple[float, int, Flight]] = []
        self._sent = 0

    def ended_by(self, now_s: float) -> Iterator[tuple[float, Flight]]:
        """The requests that ended until now, in order, with the time."""
        while self._ends and self._ends[0][0] <= now_s:
            at_s, _, flight = heapq.heappop(self._ends)
            self.in_flight[flight.replica] -= 1
            yield at_s, flight

    def send(self, arrival: Arrival, replica: int) -> Flight:
        cached, ttft_s = self.replicas[replica].serve(arrival)
        flight = Flight(self._sent, arrival, replica, ttft_s, cached)
        self._sent += 1
        self.in_flight[replica] += 1
        end_s = arrival.at_s + ttft_s + arrival.output_tokens * self._decode_s
        heapq.heappush(self._ends, (end_s, flight.number, flight))
        return flight


def figures(fleet: Fleet, flights: Sequence[Flight]) -> dict[str, float]:
    """Seconds to the first token, share of the prompt tokens that were cached, the busiest replica over the mean."""
    times = sorted(flight.ttft_s for flight in flights)
    computed = [replica.computed for replica in fleet.replicas]
    tokens = sum(flight.arrival.tokens for flight in flights)
    found: dict[str, Any] = {
        "ttft_mean": sum(times) / len(times),
        "ttft_p50": times[len(times) // 2],
        "ttft_p95": times[int(len(times) * 0.95)],
        "hit": sum(flight.cached_tokens for flight in flights) / tokens,
        "imbalance": max(computed) * len(computed) / sum(computed),
    }
    return {name: round(value, 4) for name, value in found.items()}
