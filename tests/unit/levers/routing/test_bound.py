"""The bounds hold what they say, reckoned exactly over all outcomes."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.routing.bound import Bound, Pairs, interval, needed, score_upper, share_lower, share_upper, upper


@st.composite
def pairs(draw: st.DrawFn) -> Pairs:
    tested = draw(st.integers(1, 5000))
    lost = draw(st.integers(0, tested))
    return Pairs(tested, lost, draw(st.integers(0, tested - lost)))


@given(pairs(), st.sampled_from(Bound))
def test_a_bound_is_above_what_was_seen(seen: Pairs, bound: Bound) -> None:
    assert seen.loss - 1e-9 <= upper(seen, 0.05, bound) <= 1 + 1e-9
    assert upper(seen, 0.01, bound) >= upper(seen, 0.05, bound) - 1e-6


@given(pairs())
def test_the_interval_turns_with_the_models(seen: Pairs) -> None:
    low, high = interval(seen)
    turned = interval(Pairs(seen.tested, seen.won, seen.lost))
    assert low <= seen.loss <= high
    assert turned == pytest.approx((-high, -low), abs=1e-6)


def _covered(n: int, lost: float, won: float, error: float, bound: Bound) -> float:
    """The probability of outcomes whose bound is not below the true loss."""
    total = 0.0
    for a in range(n + 1):
        for b in range(n - a + 1):
            if upper(Pairs(n, a, b), error, bound) >= lost - won - 1e-9:
                total += comb(n, a) * comb(n - a, b) * lost**a * won**b * (1 - lost - won) ** (n - a - b)
    return total


@pytest.mark.parametrize(("lost", "won"), [(0.02, 0.0), (0.05, 0.03), (0.3, 0.1), (0.2, 0.2), (0.5, 0.02)])
def test_the_exact_bound_errs_no_more_often_than_it_says(lost: float, won: float) -> None:
    assert _covered(24, lost, won, 0.05, Bound.EXACT) >= 0.95


@pytest.mark.parametrize(("lost", "won"), [(0.05, 0.03), (0.3, 0.1), (0.2, 0.2)])
def test_the_score_bound_errs_about_as_often_as_it_says(lost: float, won: float) -> None:
    assert 0.93 <= _covered(60, lost, won, 0.05, Bound.SCORE) <= 0.98


def test_known_values() -> None:
    assert share_upper(0, 100, 0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert share_lower(0, 100, 0.05) == 0.0
    assert share_upper(7, 7, 0.05) == 1.0
    assert score_upper(Pairs(2000, 60, 40), 0.05) < upper(Pairs(2000, 60, 40), 0.05, Bound.EXACT)


@pytest.mark.parametrize("seen", [Pairs(44, 1, 0), Pairs(200, 12, 5), Pairs(1000, 30, 60)])
def test_the_score_bound_is_where_the_test_turns(seen: Pairs) -> None:
    """Against the likelihood itself: under a loss of just that much, the likeliest shares give the statistic z."""
    loss = score_upper(seen, 0.05)
    won = np.linspace(max(0.0, -loss), (1 - loss) / 2, 400_001)[1:-1]
    same = seen.tested - seen.lost - seen.won
    likelihood = seen.lost * np.log(won + loss) + seen.won * np.log(won) + same * np.log(1 - loss - 2 * won)
    likeliest = float(won[likelihood.argmax()])
    variance = 2 * likeliest + loss - loss**2
    assert (seen.loss - loss) / np.sqrt(variance / seen.tested) == pytest.approx(-1.6449, abs=0.002)


@pytest.mark.parametrize("bound", list(Bound))
def test_needed_is_the_least_that_proves_it(bound: Bound) -> None:
    count = needed(0.02, 0.01, 0.02, 0.05, bound, most=100_000)
    assert count is not None
    assert upper(Pairs(count, round(0.02 * count), round(0.01 * count)), 0.05, bound) <= 0.02
    assert needed(0.02, 0.01, 0.02, 0.05, bound, most=count // 2) is None
    assert needed(0.03, 0.01, 0.02, 0.05, bound, most=100_000) is None
