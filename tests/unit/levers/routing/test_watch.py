"""The watch stays quiet while the promise is kept, however often it is asked, and speaks when it is not."""

from __future__ import annotations

from itertools import product
from math import exp, prod

import numpy as np

from fivelevers.levers.routing.bound import Pairs
from fivelevers.levers.routing.watch import ALPHA, Mix, log_evidence, loses

EPSILON = 0.02


def pairs_after(rng: np.random.Generator, lost: float, won: float, steps: int) -> list[Pairs]:
    """The sums after every pair."""
    draws = rng.random(steps)
    gone = np.cumsum(draws < lost)
    better = np.cumsum((draws >= lost) & (draws < lost + won))
    return [Pairs(n + 1, int(gone[n]), int(better[n])) for n in range(0, steps, 10)]


def test_a_loss_at_the_bound_is_called_out_in_a_twentieth_of_the_runs_at_most() -> None:
    rng = np.random.default_rng(1)
    called = sum(any(loses(seen, EPSILON) for seen in pairs_after(rng, 0.06, 0.04, 2000)) for _ in range(60))
    assert called <= 60 * ALPHA + 3


def test_a_worse_model_is_called_out() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        found = next((seen.tested for seen in pairs_after(rng, 0.25, 0.05, 2000) if loses(seen, EPSILON)), None)
        assert found is not None
        assert found < 600


def test_evidence_is_a_fair_bet() -> None:
    # Its mean under the bound is 1: all outcomes of three pairs, at a loss of exactly epsilon.
    lost, won = 0.3, 0.28
    chances = {1: lost, 0: 1 - lost - won, -1: won}
    total = 0.0
    for outcome in product(chances, repeat=3):
        counts = [outcome.count(value) for value in (-1, 0, 1)]
        total += prod(chances[value] for value in outcome) * exp(log_evidence((-1, 0, 1), counts, EPSILON))
    assert abs(total - 1) < 1e-9


def test_the_mix_is_watched_by_class() -> None:
    rng = np.random.default_rng(3)
    mix = Mix.of(rng.normal(size=2000).tolist())
    assert len(mix.most) == len(mix.cuts) + 1 == 10
    counts = np.bincount([mix.class_of(point) for point in rng.normal(size=5000)], minlength=10).tolist()
    assert mix.shifted(counts) is None
    moved = np.bincount([mix.class_of(point) for point in rng.normal(0.5, size=5000)], minlength=10).tolist()
    assert mix.shifted(moved) in (8, 9)
    assert mix.shifted([0] * 10) is None


def test_a_mix_of_nothing_or_of_one_point_never_shifts() -> None:
    assert Mix.of([]).shifted([5]) is None
    single = Mix.of([0.2] * 50)
    assert single.shifted([0] * (len(single.most) - 1) + [100]) is None
    assert Mix.of([float("nan"), float("inf"), 0.1]).class_of(float("inf")) >= 0
