import tracemalloc
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.guard import (
    ALPHA,
    MIN_SESSIONS,
    MOST_OUTCOMES,
    SETTING,
    Caps,
    Reading,
    Seen,
    Session,
    add_up,
    caps,
    judge,
    needed,
    sides,
)
from fivelevers.metering.interval import Coverage, Reason, Withheld

LOSS = 0.02

sessions = st.builds(
    lambda cost, failure, known, good, size: Session(cost, failure, known, min(good, known), size),
    st.floats(0, 10),
    st.floats(0, 10),
    st.integers(1, 50),
    st.integers(0, 50),
    st.floats(0, 1e5),
)


def drawn(seed: int, count: int, *, rise: float = 0.0, success: float = 0.95) -> list[Session]:
    """Sessions of a few outcomes, with log-normal costs around the size of their first prompt."""
    rng = np.random.default_rng(seed)
    known, size = 1 + rng.poisson(1.5, count), rng.lognormal(7, 0.7, count)
    cost = known * size * 3e-6 * rng.lognormal(0, 0.4, count) * (1 + rise)
    good = rng.binomial(known, success)
    return [
        Session(c, 0.0, n, s, z)
        for c, n, s, z in zip(cost.tolist(), known.tolist(), good.tolist(), size.tolist(), strict=True)
    ]


def seen(treated: list[Session], control: list[Session]) -> list[Seen]:
    """Both arms by turns, then what the longer one has left."""
    first = [one for both in zip(treated, control, strict=False) for one in ((True, both[0]), (False, both[1]))]
    even = len(first) // 2
    rest = [*((True, one) for one in treated[even:]), *((False, one) for one in control[even:])]
    return [Seen(arm, one.known, one) for arm, one in [*first, *rest]]


def told(treated: list[Session], control: list[Session], loss: float = LOSS) -> Reading:
    reading = judge(*sides(seen(treated, control)), loss)
    assert isinstance(reading, Reading)
    return reading


def test_dearer_answers_are_harm() -> None:
    reading = told(drawn(1, 800, rise=0.3), drawn(2, 800))
    assert reading.evidence > needed(1)
    assert reading.why.startswith("a successful output costs ")
    assert told(drawn(1, 800), drawn(2, 800)).evidence < 1
    assert told(drawn(1, 800, rise=-0.3), drawn(2, 800)).evidence < 0.1


def test_fewer_successes_are_harm_unless_they_are_allowed() -> None:
    worse, usual = drawn(3, 1500, success=0.85), drawn(4, 1500)
    reading = told(worse, usual)
    assert reading.loss_evidence > needed(1)
    assert "points fewer succeed" in replace(reading, cost_evidence=0.0).why
    assert told(worse, usual, loss=0.15).loss_evidence == 0
    assert told(usual, worse).loss_evidence == 0


def test_a_lever_whose_answers_all_fail_is_harm_although_no_success_has_a_cost() -> None:
    assert told([replace(one, successes=0) for one in drawn(5, 100)], drawn(6, 100)).evidence > needed(100)


def test_the_damage_of_failures_counts_as_cost() -> None:
    failing = [replace(one, failure_usd=0.5 * (one.known - one.successes)) for one in drawn(7, 1500, success=0.93)]
    usual = [replace(one, failure_usd=0.5 * (one.known - one.successes)) for one in drawn(8, 1500, success=0.99)]
    assert told(failing, usual, loss=1.0).cost_evidence > needed(1)


def test_one_giant_session_is_no_harm() -> None:
    treated = drawn(9, 300)
    giant = Session(1e6, 0.0, 5000, 4000, 1e9)
    assert told([*treated, giant], drawn(10, 300)).evidence < 10


def test_a_lucky_small_control_is_no_harm() -> None:
    """30 sessions without a failure look certain to themselves; the treated know how usual failures are."""
    treated = drawn(11, 3000, success=0.95)
    control = [replace(one, successes=one.known) for one in drawn(12, MIN_SESSIONS)]
    assert told(treated, control).loss_evidence < 10


def test_the_size_of_prompts_explains_a_difference() -> None:
    """A treated arm with longer first prompts by chance is no dearer."""
    usual, longer = drawn(13, 400), drawn(14, 400)
    longer = [replace(one, cost_usd=one.cost_usd * 1.25, size=one.size * 1.25) for one in longer]
    blind = told([replace(one, size=0.0) for one in longer], [replace(one, size=0.0) for one in usual])
    assert told(longer, usual).cost_evidence < 1 < blind.cost_evidence


def test_harmless_levers_hardly_ever_reach_the_evidence_that_is_needed() -> None:
    """400 guards, each looked at after every tenth session: alpha over them all, so none of these."""
    for seed in range(400):
        treated, control = drawn(2 * seed + 100, 150), drawn(2 * seed + 101, 150)
        looks = [told(treated[:upto], control[:upto]).evidence for upto in range(50, 151, 10)]
        assert max(looks) < needed(1), seed


@pytest.mark.parametrize(("treated", "control"), [(MIN_SESSIONS - 1, 500), (500, MIN_SESSIONS - 1), (49, 50)])
def test_few_sessions_say_nothing(treated: int, control: int) -> None:
    found = judge(*sides(seen(drawn(1, treated), drawn(2, control))), LOSS)
    assert isinstance(found, Withheld)
    assert found.reason is Reason.FEW_SESSIONS


@pytest.mark.parametrize(
    ("treated", "control", "reason"), [(0.1, 0.9, Reason.LOW_COVERAGE), (0.5, 0.6, Reason.UNEVEN_COVERAGE)]
)
def test_arms_of_which_unequally_much_is_known_are_not_compared(treated: float, control: float, reason: Reason) -> None:
    ours, theirs = sides(seen(drawn(1, 100), drawn(2, 100)))
    shares = [Coverage(int(1000 * known), 1000) for known in (treated, control)]
    found = judge(replace(ours, coverage=shares[0]), replace(theirs, coverage=shares[1]), LOSS)
    assert isinstance(found, Withheld)
    assert found.reason is reason


def test_all_guards_together_share_alpha_however_many_come() -> None:
    shares = [1 / needed(number) for number in range(1, 100_000)]
    assert sum(shares) < ALPHA
    assert sum(shares) > 0.99 * ALPHA
    assert all(sooner > later for sooner, later in pairwise(shares))
    assert needed(1) == pytest.approx(101 / ALPHA)


@given(st.integers(0, 1_000), st.integers(0, 2 * SETTING))
def test_a_stream_says_what_both_arms_at_once_say(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    lost = Seen(True, 3, None)  # of which nothing is known
    found = [Seen(bool(rng.random() < 0.3), one.known + 1, one) for one in drawn(seed, count)]
    most = caps([one.told for one in found if one.told][:SETTING])
    for treated, side in zip((True, False), sides(iter([lost, *found])), strict=True):
        arm = [one.told for one in found if one.told and one.treated == treated]
        assert side.sums == add_up(arm, most)
        known = sum(one.known for one in arm)
        assert side.coverage == Coverage(known, known + len(arm) + 3 * treated)


def test_a_stream_is_not_kept() -> None:
    """However many sessions come: a proxy adds them up beside its requests."""
    stream = (Seen(at % 2 == 0, 1, Session(0.01 * at, 0.0, 1, 1, 10.0)) for at in range(20_000))
    tracemalloc.start()
    try:
        treated, control = sides(stream)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert treated.sums.sessions + control.sums.sessions == 20_000
    assert peak_bytes < 200_000


@given(st.lists(sessions, max_size=20), st.integers(0, 20))
def test_sums_add_up_in_any_parts(found: list[Session], cut: int) -> None:
    most = Caps(cost_usd=1.0, size=1e4)
    parts = add_up(found[cut:], most) + add_up(found[:cut], most)
    assert astuple(parts) == pytest.approx(astuple(add_up(found, most)))


@given(sessions)
def test_what_one_session_can_do_is_bounded(one: Session) -> None:
    most = Caps(cost_usd=1.0, size=1e4)
    sums = add_up([one], most)
    assert sums.n <= MOST_OUTCOMES
    assert sums.z <= most.size
    assert sums.x <= MOST_OUTCOMES * (most.cost_usd + one.failure_usd / one.known) + 1e-9


@given(st.floats(1e-6, 1e6))
def test_the_currency_and_the_unit_of_size_do_not_matter(factor: float) -> None:
    treated, control = drawn(1, 100, rise=0.2), drawn(2, 100)
    dearer, usual = (
        [replace(one, cost_usd=one.cost_usd * factor, size=one.size * factor) for one in arm]
        for arm in (treated, control)
    )
    assert told(dearer, usual).evidence == pytest.approx(told(treated, control).evidence, rel=1e-4)


def test_caps_hold_for_what_costs_nothing_most_of_the_time() -> None:
    hits = [Session(0.0, 0.0, 1, 1)] * 95 + [Session(0.5, 0.0, 1, 1)] * 5
    assert caps(hits).cost_usd == 0.5
    assert caps([]).cost_usd == float("inf")
