"""Whatever happens to a batch, it is created once, goes on, and gives its rows back in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.batch.lifecycle import (
    BEFORE_CREATING,
    Adoption,
    Batch,
    BatchState,
    Failure,
    Found,
    Pace,
    Step,
    adoption,
    after_create,
    after_upload,
    at_rescue,
    backoff,
    grown,
    halved,
    is_late,
    next_step,
    poll_in,
)
from fivelevers.levers.batch.work import Endpoint, Group

PACE = Pace()
AGES = st.floats(0, 1e6)
STATES = st.sampled_from(BatchState)


def batch(**changes: Any) -> Batch:
    values: dict[str, Any] = {
        "id": "0123456789abcdef", "group": Group("openai", "main", Endpoint.CHAT, "m"), "state": BatchState.PLANNED,
        "fence": 1, "at": 1000.0, "age_s": 0.0, "made_at": 1000.0, "rows": 10, "left": 10, "tokens": 100,
        "rescue_at": 20_000.0,
    }  # fmt: skip
    return Batch(**(values | changes))


@given(STATES, AGES, st.integers(0, 10), st.integers(0, 50))
def test_what_may_have_been_created_is_looked_for_and_never_created(
    state: BatchState, age_s: float, left: int, tries: int
) -> None:
    step = next_step(batch(state=state, age_s=age_s, left=left, tries=tries), PACE)
    assert (step is Step.CREATE) <= (state is BatchState.UPLOADED)
    if state is BatchState.CREATING:
        assert step is (Step.RECONCILE if age_s >= PACE.grace_s else Step.WAIT)


@given(STATES, st.sampled_from(Failure), st.integers(0, 60))
def test_a_create_of_unknown_fate_stays_one(state: BatchState, failure: Failure, tries: int) -> None:
    then = after_create(batch(state=state, tries=tries), failure, PACE)
    assert (then.state is BatchState.CREATING) >= (failure is Failure.UNKNOWN)
    assert then.give_up == (failure is Failure.REFUSED)
    assert 0 <= then.in_s <= max(PACE.grace_s, PACE.retry_most_s)


@given(st.sampled_from([Failure.NOT_DONE, Failure.UNKNOWN]), st.integers(0, 60))
def test_after_a_failed_upload_rows_may_leave_again(failure: Failure, tries: int) -> None:
    then = after_upload(batch(state=BatchState.UPLOADING, tries=tries), failure, PACE)
    assert then.state is BatchState.PLANNED
    assert not then.give_up


def test_a_file_that_is_not_taken_again_and_again_lets_its_rows_go() -> None:
    creating = batch(state=BatchState.CREATING)
    seen = [after_create(replace(creating, tries=n), Failure.NOT_DONE, PACE).state for n in range(4)]
    assert seen[0] is BatchState.UPLOADED
    assert seen[-1] is BatchState.PLANNED


@given(STATES)
def test_a_batch_that_nobody_waits_for_is_not_sent(state: BatchState) -> None:
    step = next_step(batch(state=state, left=0), PACE)
    assert (step is Step.CLEAN) >= (state in BEFORE_CREATING)
    assert (step is Step.POLL) == (state is BatchState.SUBMITTED)  # it is paid for, and its rows are metered


@given(st.lists(st.text("abc", min_size=1, max_size=3), unique=True), st.booleans())
def test_one_is_adopted_and_the_rest_go(ids: list[str], undecided: bool) -> None:
    told = adoption(Found(tuple(ids), undecided))
    if ids:
        assert {told.adopt, *told.cancel} == set(ids)
        assert told.adopt not in told.cancel
        assert told == adoption(Found(tuple(reversed(ids)), undecided))  # every worker decides alike
    else:
        assert told == Adoption(wait=undecided)


@given(AGES, st.integers(0, 100))
def test_polls_are_spread_and_bounded(age_s: float, tries: int) -> None:
    assert PACE.poll_first_s * 0.9 <= poll_in(batch(age_s=age_s, tries=tries), PACE) <= PACE.poll_most_s * 1.1


@given(st.floats(0, 2e6), st.floats(0, 2e6))
def test_nobody_looks_away_while_a_request_is_to_be_asked_live(in_s: float, rescue_in_s: float) -> None:
    now = 1e9
    seen = at_rescue(in_s, now + PACE.live_margin_s + rescue_in_s, now, PACE)
    assert PACE.tick_s <= seen <= max(in_s, PACE.tick_s)
    assert seen <= max(rescue_in_s, PACE.tick_s) + 1e-6  # what a float of the epoch can tell apart


@given(st.integers(0, 1000), st.integers(1, 10**9))
def test_waits_double_up_to_a_bound_and_caps_halve_and_grow(tries: int, tokens: int) -> None:
    assert backoff(tries, PACE) <= backoff(tries + 1, PACE) <= PACE.retry_most_s
    assert 1 <= halved(tokens) <= max(tokens / 2, 1)
    assert tokens < grown(tokens) <= 2 * tokens


def test_a_request_is_late_a_live_call_before_its_deadline() -> None:
    assert not is_late(10_000.0, 10_000.0 - PACE.live_margin_s - 1, PACE)
    assert is_late(10_000.0, 10_000.0 - PACE.live_margin_s, PACE)


def test_a_grace_that_an_attempt_outlasts_is_refused() -> None:
    with pytest.raises(ValueError, match="grace_s: 10 is not above create_limit_s"):
        Pace(grace_s=10, create_limit_s=30)


@given(st.integers(0, 99_999))
def test_rows_are_known_by_their_batch(seq: int) -> None:
    one = batch(rows=100_000)
    assert one.seq(one.row_id(seq)) == seq
    assert len(one.row_id(seq)) <= 64
    assert replace(one, id="f" * 16).seq(one.row_id(seq)) is None


@pytest.mark.parametrize("odd", ["", "-", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef-10",
                                 "0123456789abcdef--1", "0123456789abcdef-1.0", "0123456789abcdef-\u0661"])  # fmt: skip
def test_ids_that_are_no_row_of_it(odd: str) -> None:
    assert batch(rows=10).seq(odd) is None
