from math import nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.arms import Arm, assign, contrasts, unit_interval
from fivelevers.order import LEVER_NAMES

shares = st.floats(0, 1)
places = st.floats(0, 1, exclude_max=True)
percents = st.dictionaries(st.sampled_from(LEVER_NAMES), shares)


def test_the_published_vectors() -> None:
    assert unit_interval("default", "") == 0.7427107309826525
    assert unit_interval("chat", "session-1") == 0.033275066762939565


def test_route_and_session_do_not_run_together() -> None:
    assert unit_interval("a", "bc") != unit_interval("ab", "c")
    assert unit_interval("chat", "s") != unit_interval("rag", "s")


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_names_give_a_place_below_one(route: str, session: str) -> None:
    assert 0 <= unit_interval(route, session) < 1
    assert unit_interval(route, session) == unit_interval(route, session)


def test_lone_surrogates_are_names_too() -> None:
    assert 0 <= unit_interval("\udcff", "\ud800") < 1


def test_the_places_are_spread_evenly() -> None:
    """10,000 sessions in 20 cells: chi-squared with 19 degrees of freedom exceeds 43.8 once in a thousand hashes."""
    cells = [0] * 20
    for number in range(10_000):
        cells[int(unit_interval("chat", f"session-{number}") * 20)] += 1
    assert sum((cell - 500) ** 2 / 500 for cell in cells) < 43.8


@given(places, shares, percents)
def test_the_arm_is_what_the_words_say(u: float, holdout: float, by_lever: dict[str, float]) -> None:
    arm = assign(u, holdout, by_lever)
    assert arm.holdout == (u < holdout)
    for lever, share in by_lever.items():
        assert (lever in arm.treated) == (holdout <= u < holdout + share * (1 - holdout))


@given(places, shares, shares, shares)
def test_raising_the_share_moves_nobody_back(u: float, holdout: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert assign(u, holdout, {"batch": low}).treated <= assign(u, holdout, {"batch": high}).treated


@given(shares, percents)
def test_the_holdout_gets_nothing(holdout: float, by_lever: dict[str, float]) -> None:
    if holdout > 0:
        assert assign(nextafter(holdout, 0), holdout, by_lever) == Arm(True, frozenset())


@given(shares)
def test_a_whole_share_is_everybody_else(holdout: float) -> None:
    last = nextafter(1, 0)
    assert assign(last, holdout, {"batch": 1.0}) == (
        Arm(False, frozenset({"batch"})) if last >= holdout else Arm(True, frozenset())
    )


def test_no_share_is_nobody() -> None:
    assert assign(0.02, 0.02, {"batch": 0.0}) == Arm(False, frozenset())


@pytest.mark.parametrize(("holdout", "share"), [(2, 0.5), (-0.1, 0.5), (0.02, 50), (0.02, float("nan"))])
def test_a_share_beyond_0_to_1_is_refused(holdout: float, share: float) -> None:
    with pytest.raises(ValueError, match=r"(holdout|batch): .* is not in 0\.\.1"):
        assign(0.5, holdout, {"batch": share})


@given(st.dictionaries(st.sampled_from(LEVER_NAMES), st.integers(0, 100)), st.floats(0, 0.5))
def test_a_contrast_compares_neighbours_that_differ_by_its_levers_alone(whole: dict[str, int], holdout: float) -> None:
    given_shares = {lever: percent / 100 for lever, percent in whole.items()}
    for contrast in contrasts(given_shares, LEVER_NAMES):
        share = given_shares[contrast.lever]
        border = holdout + share * (1 - holdout)
        assert {given_shares[lever] for lever in contrast.inside - contrast.outside} == {share}
        assert assign(nextafter(border, 0), holdout, given_shares).treated == contrast.inside
        if border < 1:
            assert assign(border, holdout, given_shares).treated == contrast.outside


def test_one_contrast_for_each_share_of_the_last_lever_adopted() -> None:
    found = contrasts({"prompt_cache": 1.0, "semantic_cache": 1.0, "routing": 0.1, "quantization": 0.0}, LEVER_NAMES)
    assert [one.lever for one in found] == ["routing", "semantic_cache"]
