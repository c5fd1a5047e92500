"""Sessions for benchmarks/guard.py: a few are long, a few are dear, and the requests of one have much in common."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fivelevers.metering.guard import MOST_OUTCOMES, SETTING, Session, Sums, caps

Floats = NDArray[np.float64]

USD_PER_TOKEN = 3e-6, 15e-6  # in, out
BLOCK_TOKENS = 512  # of a Mooncake trace
CORRELATION = 0.1  # between the successes of one session


@dataclass(frozen=True, slots=True)
class Pool:
    """What sessions are drawn from: outcomes, USD and tokens of the first prompt, one entry a session."""

    name: str
    outcomes: NDArray[np.int64]
    usd: Floats
    size: Floats

    @property
    def about(self) -> dict[str, float | str]:
        """Sizes and tails: what makes an effect hard to see."""
        each = self.usd / self.outcomes
        return {
            "sessions": self.name,
            "outcomes_per_session": round(float(self.outcomes.mean()), 2),
            "longest_session": int(self.outcomes.max()),
            "cost_per_outcome_cv": round(float(each.std() / each.mean()), 2),
            "cost_per_outcome_p99_to_median": round(float(np.quantile(each, 0.99) / np.median(each)), 1),
        }


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a guard sees: a share is treated, at dearer answers and with fewer successes."""

    share: float
    success: float = 0.95
    rise: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Sessions in their order, with who was treated."""

    treated: NDArray[np.bool_]
    outcomes: NDArray[np.int64]
    successes: NDArray[np.int64]
    usd: Floats
    size: Floats

    def sums(self, at: NDArray[np.int64]) -> tuple[list[Sums], list[Sums]]:
        """(treated, control): what the guard adds up from the first ``at`` sessions, for each of these."""
        first = range(min(SETTING, len(self.usd)))
        found = [Session(self.usd[i], 0.0, int(self.outcomes[i]), int(self.successes[i]), self.size[i]) for i in first]
        most = caps(found)
        weight = np.minimum(1.0, MOST_OUTCOMES / self.outcomes)
        n, s, z = weight * self.outcomes, weight * self.successes, np.minimum(self.size, most.size)
        x = n * np.minimum(self.usd / self.outcomes, most.cost_usd)
        columns = np.stack([np.ones_like(x), x, s, n, z, x * x, x * s, s * s, s * n, n * n, x * z, s * z, z * z])
        arms = (np.cumsum(columns * arm, axis=1)[:, at - 1].T for arm in (self.treated, ~self.treated))
        treated, control = ([Sums(int(row[0]), *row[1:].tolist()) for row in arm] for arm in arms)
        return treated, control


def synthetic(seed: int, sessions: int = 50_000) -> Pool:
    """Pareto lengths (exponent 1.5, 200 at most); log-normal prompts and answers, alike within a session."""
    rng = np.random.default_rng(seed)
    outcomes = np.minimum(1 + np.floor(rng.pareto(1.5, sessions)).astype(np.int64), 200)
    size = rng.lognormal(6.5, 0.7, sessions)
    own = np.repeat(np.arange(sessions), outcomes)
    answers = np.bincount(own, rng.lognormal(5.0, 0.6, own.size))
    usd = outcomes * size * USD_PER_TOKEN[0] * rng.lognormal(0, 0.2, sessions) + answers * USD_PER_TOKEN[1]
    return Pool("made up", outcomes, usd, size)


def mooncake(file: Path) -> Pool:
    """A Mooncake trace: a request whose prompt goes on where an earlier one's blocks end is of that one's session."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    of_block: dict[int, int] = {}
    found: list[list[tuple[int, int]]] = []
    for row in lines:
        full = row["hash_ids"][1 : row["input_length"] // BLOCK_TOKENS]  # the first block is everybody's
        session = next((of_block[block] for block in reversed(full) if block in of_block), len(found))
        if session == len(found):
            found.append([])
        found[session].append((row["input_length"], row["output_length"]))
        of_block |= dict.fromkeys(full, session)
    usd = [sum(i * USD_PER_TOKEN[0] + o * USD_PER_TOKEN[1] for i, o in session) for session in found]
    lengths, sizes = [len(session) for session in found], [float(session[0][0]) for session in found]
    return Pool(file.name, np.array(lengths), np.array(usd), np.array(sizes))


def draw(rng: np.random.Generator, pool: Pool, traffic: Traffic, outcomes: int, *, drift: bool = False) -> Seen:
    """Sessions with at least so many outcomes. ``drift``: what they all cost rises and falls by half."""
    picked = rng.integers(len(pool.usd), size=int(1.3 * outcomes / pool.outcomes.mean()) + 500)
    picked = picked[: int(np.searchsorted(np.cumsum(pool.outcomes[picked]), outcomes)) + 1]
    treated = rng.random(picked.size) < traffic.share
    n = pool.outcomes[picked]
    rate = traffic.success - traffic.loss * treated
    spread = (1 - CORRELATION) / CORRELATION
    successes = rng.binomial(n, rng.beta(rate * spread, (1 - rate) * spread))
    usd = pool.usd[picked] * (1 + traffic.rise * treated)
    if drift:
        usd = usd * (1 + 0.5 * np.sin(np.linspace(0, 6 * np.pi, picked.size) + rng.random() * 6))
    return Seen(treated, n, successes, usd, pool.size[picked])
