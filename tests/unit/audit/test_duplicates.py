"""Which calls are the same as an earlier one, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit.duplicates import TTL_S, WAIT_S, FirstAnswers, Same


def seen(*calls: tuple[float, float | None]) -> list[Same]:
    """The same call again and again: (sent, answered)."""
    answers = FirstAnswers()
    return [answers.see(b"k", at, ended, stored=True) for at, ended in calls]


def test_it_is_answered_once_the_first_has_ended_and_until_that_runs_out() -> None:
    assert seen((0, 2), (1, 3), (2, 4), (2 + TTL_S - 1, None), (2 + TTL_S, None)) == [
        Same.NEW,
        Same.AT_ONCE,
        Same.ANSWERED,
        Same.ANSWERED,
        Same.NEW,
    ]


def test_nobody_waits_longer_than_the_lever_does_and_the_quicker_answer_counts() -> None:
    assert seen((0, 60), (1, 9), (8, 10), (9, 12)) == [Same.NEW, Same.TOO_SLOW, Same.AT_ONCE, Same.ANSWERED]


def test_without_its_end_a_call_takes_as_long_as_anybody_waits() -> None:
    assert seen((0, None), (WAIT_S - 1, None), (WAIT_S, None)) == [Same.NEW, Same.AT_ONCE, Same.ANSWERED]


def test_an_answer_that_may_not_be_given_again_answers_nothing() -> None:
    answers = FirstAnswers()
    assert [answers.see(b"k", at, at, stored=at > 0) for at in (0.0, 1.0, 2.0)] == [Same.NEW, Same.NEW, Same.ANSWERED]


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 2 * TTL_S)), max_size=200), st.integers(1, 10))
def test_memory_is_bounded(calls: list[tuple[int, float]], at_most: int) -> None:
    answers = FirstAnswers(at_most)
    for key, at in sorted(calls, key=lambda call: call[1]):
        answers.see(bytes([key]), at, at, stored=True)
        assert len(answers._answered) <= at_most
