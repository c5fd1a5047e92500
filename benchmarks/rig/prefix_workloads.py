"""Made-up traffic whose best fixed rule is known, each from a seed: what a rule for one of them costs on the others.

Rates and sizes are of the usual kinds of work; tokens of system prompt and tail are the share that decides.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from hashlib import sha256

from benchmarks.rig.prefix_trace import EPOCH_S, Arrival
from fivelevers.levers.prompt_cache.prefix import Position, Section

HOUR_S = 3600.0
_Request = tuple[float, list[tuple[str, int]]]
"""When, and the blocks of the prompt by name with their tokens; the first is the system prompt."""


class _Names:
    """Chained names of prefixes, and which of them were seen."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def arrival(self, at: float, blocks: list[tuple[str, int]]) -> Arrival:
        chain, tokens, shared, positions = b"", 0, 0, []
        for block, (name, size) in enumerate(blocks, 1):
            chain, tokens = sha256(chain + name.encode()).digest()[:8], tokens + size
            section = Section.SYSTEM if block == 1 else Section.MESSAGES
            positions.append(Position(chain, tokens, section, block))
            shared = tokens if chain in self._seen else shared
            self._seen.add(chain)
        return Arrival(EPOCH_S + at, tokens, tuple(positions), shared)


def arrivals(name: str, seed: int, hours: float | None = None) -> list[Arrival]:
    rng, names = random.Random(f"{name} {seed}"), _Names()
    make, usual_hours = WORKLOADS[name]
    requests = sorted(make(rng, (hours or usual_hours) * HOUR_S), key=lambda request: request[0])
    return [names.arrival(at, blocks) for at, blocks in requests]


def _poisson(rng: random.Random, per_hour: float, until_s: float) -> Iterator[float]:
    at = rng.expovariate(per_hour / HOUR_S)
    while at < until_s:
        yield at
        at += rng.expovariate(per_hour / HOUR_S)


def _diurnal(rng: random.Random, per_hour: float, until_s: float) -> Iterator[float]:
    """Mean ``per_hour``, from nearly nothing at night to twice that at noon."""
    for at in _poisson(rng, 2 * per_hour, until_s):
        if rng.random() < (1 - math.cos(2 * math.pi * at / (24 * HOUR_S))) / 2:
            yield at


def _rag(rng: random.Random, times: Iterator[float]) -> Iterator[_Request]:
    """System prompt, the passage that was found first (popular ones far more often), further ones and the question."""
    weights = [1 / rank**1.1 for rank in range(1, 25)]
    for number, at in enumerate(times):
        (passage,) = rng.choices(range(24), weights)
        yield at, [("system", 4000), (f"passage {passage}", 2000), (f"question {number}", 1400)]


def _bot(times: Iterator[float], system: int, tail: int) -> Iterator[_Request]:
    for number, at in enumerate(times):
        yield at, [("system", system), (f"question {number}", tail)]


def _bursts(rng: random.Random, until_s: float) -> Iterator[float]:
    start = 0.0
    while start < until_s:
        at = start
        for _ in range(20):
            yield at
            at += rng.expovariate(1 / 20)
        start += rng.uniform(40, 50) * 60


def _chat(rng: random.Random, until_s: float) -> Iterator[_Request]:
    for session, start in enumerate(_diurnal(rng, 12, until_s)):
        at, blocks = start, [("system", 3000)]
        for turn in range(1 + int(rng.expovariate(1 / 7))):
            blocks = [*blocks, (f"{session} user {turn}", rng.randint(50, 600))]
            yield at, blocks
            blocks = [*blocks, (f"{session} answer {turn}", rng.randint(100, 800))]
            at += rng.lognormvariate(math.log(75), 1.0)


def _agent(rng: random.Random, until_s: float) -> Iterator[_Request]:
    for session, start in enumerate(_poisson(rng, 3, until_s)):
        at, blocks = start, [("system", 14_000), (f"{session} task", rng.randint(200, 4000))]
        for step in range(rng.randint(10, 50)):
            yield at, blocks
            blocks = [*blocks, (f"{session} call {step}", 150), (f"{session} result {step}", rng.randint(100, 3000))]
            at += rng.lognormvariate(math.log(12), 0.8)


def _unique(times: Iterator[float]) -> Iterator[_Request]:
    for number, at in enumerate(times):
        yield at, [(f"system {number}", 2000), (f"question {number}", 2000)]


WORKLOADS: dict[str, tuple[Callable[[random.Random, float], Iterator[_Request]], float]] = {
    "rag_poisson": (lambda rng, s: _rag(rng, _poisson(rng, 120, s)), 48.0),
    "rag_diurnal": (lambda rng, s: _rag(rng, _diurnal(rng, 60, s)), 48.0),
    "sparse_bot": (lambda rng, s: _bot(_poisson(rng, 6, s), 6000, 1000), 48.0),
    "very_sparse": (lambda rng, s: _bot(_poisson(rng, 0.4, s), 8000, 1000), 480.0),
    "bursts": (lambda rng, s: _bot(_bursts(rng, s), 5500, 1000), 48.0),
    "chat_diurnal": (_chat, 48.0),
    "agent": (_agent, 48.0),
    "unique": (lambda rng, s: _unique(_poisson(rng, 120, s)), 48.0),
}
"""Requests of a workload over so many seconds, and its usual length in hours."""
