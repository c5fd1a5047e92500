"""The quality verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.quantization.drift import Drift
from fivelevers.levers.quantization.gate import Limits, quality
from fivelevers.levers.quantization.verdict import Verdict, together
from fivelevers.levers.routing.bound import Pairs
from tests.unit.levers.quantization.made_up import scored

LIMITS = Limits()


def test_an_equal_candidate_on_enough_items_passes() -> None:
    found = quality(scored(20, 20, 1500), LIMITS)
    assert found.verdict is Verdict.PASS
    assert found.needed is None
    assert found.low > -0.02
    assert len(found.lost) == len(found.won) == 20


def test_too_few_items_are_inconclusive_and_say_how_many() -> None:
    found = quality(scored(4, 5, 110), LIMITS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.needed is not None
    assert found.needed > 1000


def test_a_candidate_that_is_surely_worse_fails() -> None:
    found = quality(scored(60, 10, 900), LIMITS)
    assert found.verdict is Verdict.FAIL
    assert "worse than the margin" in next(one.why for one in found.findings if one.rule == "margin")


def test_one_stratum_that_is_worse_fails_a_candidate_within_the_margin() -> None:
    found = quality([*scored(10, 0, 90, stratum="code"), *scored(10, 15, 2900)], LIMITS)
    assert found.low > -LIMITS.margin
    assert found.verdict is Verdict.FAIL
    assert [one.rule for one in found.findings if one.verdict is Verdict.FAIL] == ["stratum"]


def test_an_original_that_is_never_right_shows_nothing() -> None:
    assert quality(scored(0, 0, 20, 2000), LIMITS).verdict is Verdict.INCONCLUSIVE


def test_an_item_without_an_answer_never_passes() -> None:
    assert quality(scored(20, 20, 1500), LIMITS, unanswered=["one"]).verdict is Verdict.INCONCLUSIVE


def test_an_original_that_was_not_asked_twice_never_passes() -> None:
    once = [replace(one, again=None) for one in scored(20, 20, 1500)]
    assert quality(once, LIMITS).verdict is Verdict.INCONCLUSIVE


def test_a_handful_of_repeats_is_no_noise_floor() -> None:
    few = [replace(one, again=one.again if at < 29 else None) for at, one in enumerate(scored(20, 20, 1500))]
    assert quality(few, LIMITS).verdict is Verdict.INCONCLUSIVE


def test_no_difference_is_not_a_loss() -> None:
    assert quality(scored(0, 0, 10), LIMITS).findings[0].why.startswith("+0.00%, at least")


def test_an_original_that_changed_in_between_never_passes() -> None:
    found = quality(scored(20, 20, 1500, again=12), LIMITS)
    assert found.noise == Pairs(1540, 12, 0)
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("factor", "kl", "verdict"), [(1.01, 0.01, Verdict.PASS), (1.2, 0.01, Verdict.FAIL), (1.01, 0.5, Verdict.FAIL)]
)
def test_perplexity_and_kl_are_part_of_it(factor: float, kl: float, verdict: Verdict) -> None:
    texts = [Drift(50 + at, 100.0 + at, factor * (100.0 + at), kl * (50 + at)) for at in range(40)]
    assert quality(scored(20, 20, 1500), LIMITS, texts=texts).verdict is verdict


def test_no_items_at_all_show_nothing() -> None:
    assert quality([], LIMITS).verdict is Verdict.INCONCLUSIVE
    assert together([]) is Verdict.INCONCLUSIVE


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3000))
def test_another_lost_item_never_helps(lost: int, won: int, both: int) -> None:
    order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
    before = quality(scored(lost, won, both + 1), LIMITS).verdict
    after = quality(scored(lost + 1, won, both), LIMITS).verdict
    assert order.index(after) <= order.index(before)


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.1])
def test_a_margin_is_a_share(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        Limits(margin=margin)
