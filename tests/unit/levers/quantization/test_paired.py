"""Bounds and tests of pairs, against scipy and by enumeration."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, false_discovery_control

from fivelevers.levers.quantization.paired import differs_p, holm, loss_lower, loss_upper, needed, strata, worse_p
from fivelevers.levers.routing.bound import Bound, Pairs, upper


@st.composite
def pairs(draw: st.DrawFn) -> Pairs:
    tested = draw(st.integers(1, 3000))
    lost = draw(st.integers(0, tested))
    return Pairs(tested, lost, draw(st.integers(0, tested - lost)))


def _most_lost(tested: int, won: int, margin: float, error: float) -> int:
    """The most lost pairs with which the bound is below the margin; -1 where none is."""
    low, high = -1, tested - won
    while low < high:
        middle = (low + high + 1) // 2
        inside = loss_upper(Pairs(tested, middle, won), error) < margin
        low, high = (middle, high) if inside else (low, middle - 1)
    return low


def passes(tested: int, lost: float, won: float, margin: float = 0.02, error: float = 0.05) -> float:
    """The probability of outcomes whose bound is below the margin, enumerated."""
    counts = np.arange(tested + 1)
    likely = [int(count) for count in counts[binom.pmf(counts, tested, won) > 1e-8]]
    most = [_most_lost(tested, count, margin, error) for count in likely]
    rest = tested - np.array(likely)
    found = binom.pmf(likely, tested, won) * binom.cdf(most, rest, lost / (1 - won))
    return float(found.sum())


@pytest.mark.parametrize("tested", [133, 149, 226, 600])
@pytest.mark.parametrize("discordance", [0.02, 0.021, 0.03, 0.075, 0.2])
def test_a_loss_of_the_margin_passes_no_more_often_than_said(tested: int, discordance: float) -> None:
    assert passes(tested, (discordance + 0.02) / 2, (discordance - 0.02) / 2) < 0.0525


@pytest.mark.parametrize("discordance", [0.005, 0.02, 0.05, 0.1])
def test_so_many_items_pass_an_equal_candidate(discordance: float) -> None:
    tested = needed(discordance, 0.02, 0.05)
    if discordance >= 0.02:  # below, chance is coarse: one lost pair more or less decides
        assert passes(tested, discordance / 2, discordance / 2) > 0.8
    assert passes(ceil(1.1 * tested), discordance / 2, discordance / 2) > passes(tested // 2, discordance / 2, 0) * 0.9


def test_with_many_differences_it_is_the_known_formula() -> None:
    assert needed(0.5, 0.02, 0.05) == pytest.approx((1.6449 + 1.0364) ** 2 * 0.5 / 0.02**2, rel=0.01)
    assert needed(0.0, 0.02, 0.05) >= 149  # 0.98 ** 149 < 0.05: what it takes where nothing is ever lost


@given(pairs(), st.sampled_from([0.01, 0.05]))
def test_the_bounds_hold_what_was_seen_between_them(seen: Pairs, error: float) -> None:
    assert loss_lower(seen, error) - 1e-6 <= seen.loss <= loss_upper(seen, error) + 1e-6
    assert loss_upper(seen, error) <= max(upper(seen, error, Bound.SCORE), upper(seen, error, Bound.EXACT)) + 1e-9


def test_where_nothing_was_lost_the_bound_is_clopper_and_pearsons() -> None:
    assert loss_upper(Pairs(133, 0, 0), 0.05) == pytest.approx(1 - 0.05 ** (1 / 133))
    assert loss_upper(Pairs(0, 0, 0), 0.05) == 1.0


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_scipys_binomial_test(lost: int, won: int) -> None:
    seen = Pairs(1000, lost, won)
    if lost + won:
        assert worse_p(seen) == pytest.approx(binomtest(lost, lost + won, alternative="greater").pvalue)
        assert differs_p(seen) == pytest.approx(binomtest(lost, lost + won).pvalue)
    else:
        assert worse_p(seen) == differs_p(seen) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_the_p_value_and_bonferroni(values: list[float]) -> None:
    named = {str(at): value for at, value in enumerate(values)}
    found = holm(named)
    assert all(p <= found[name] <= min(1.0, len(values) * p) + 1e-12 for name, p in named.items())
    adjusted = np.array([found[name] for name in named])
    assert np.all(adjusted >= false_discovery_control(np.array(values)) - 1e-12)


def test_holm_known_values() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_each_stratum_pays_for_the_number_of_them() -> None:
    found = strata({"code": Pairs(200, 8, 0), "chat": Pairs(200, 3, 3)})
    assert found[0].p == pytest.approx(2 * 0.5**8)
    assert found[1].p > 0.5
