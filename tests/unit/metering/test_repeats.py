"""Which answers failed because the same was asked again."""

import random

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.repeats import Copy, repeated

WINDOW_S = 10.0


def copy(name: str, asked_at: float, ended_at: float, window_s: float = WINDOW_S) -> Copy:
    return Copy(name, asked_at, ended_at, window_s)


def failed(*copies: Copy) -> set[str]:
    return set(repeated(copies))


@st.composite
def _copies(draw: st.DrawFn) -> list[Copy]:
    """Small whole numbers, so that ends and beginnings meet often."""
    spans = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=12))
    return [copy(f"r{at:02}", float(start), float(start + lasts)) for at, (start, lasts) in enumerate(spans)]


def test_what_is_asked_again_after_its_answer_had_failed() -> None:
    assert failed(copy("a", 0, 1), copy("b", 2, 3)) == {"a"}


def test_each_of_a_row_failed_but_the_last() -> None:
    assert failed(copy("a", 0, 1), copy("b", 2, 3), copy("c", 4, 5)) == {"a", "b"}


def test_a_hundred_at_once_are_no_failures() -> None:
    assert not failed(*(copy(f"r{n:03}", 0.01 * n, 2.0 + 0.01 * n) for n in range(100)))


def test_a_hundred_at_once_through_ten_connections_are_no_failures() -> None:
    """An answer makes room for the next call while others are under way."""
    assert not failed(*(copy(f"r{n:03}", n / 10, n / 10 + 0.95) for n in range(100)))


def test_a_burst_fails_once_when_it_is_asked_again() -> None:
    assert failed(*(copy(f"r{n}", 0, 1 + n / 10) for n in range(5)), copy("again", 3, 4), copy("and", 3, 5)) == {"r4"}


def test_the_moment_at_which_it_ends_is_not_after_it() -> None:
    assert not failed(copy("a", 0, 2), copy("b", 2, 3))


def test_the_window_is_that_of_the_later_request_and_its_end_counts() -> None:
    assert failed(copy("a", 0, 1, window_s=0.1), copy("b", 11, 12, window_s=10)) == {"a"}
    assert not failed(copy("a", 0, 1, window_s=99), copy("b", 11.5, 12, window_s=10))


@given(_copies(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(copies: list[Copy], chance: random.Random) -> None:
    before = repeated(copies)
    chance.shuffle(copies)
    assert repeated(copies) == before


@given(_copies())
def test_the_rule_told_one_pair_at_a_time(copies: list[Copy]) -> None:
    """The earlier one had ended, no copy older than the later one was under way, and none had ended in between."""
    by_name = {one.request_id: one for one in copies}
    for name, again in repeated(copies).items():
        one = by_name[name]
        assert one.ended_at < again.asked_at <= one.ended_at + WINDOW_S
        older = [o for o in copies if (o.asked_at, o.request_id) < (again.asked_at, again.request_id)]
        assert all(o.ended_at <= one.ended_at for o in older)


@given(_copies())
def test_nothing_that_meets_the_rule_is_missed(copies: list[Copy]) -> None:
    found = repeated(copies)
    for again in copies:
        older = [o for o in copies if (o.asked_at, o.request_id) < (again.asked_at, again.request_id)]
        last = max((o.ended_at for o in older), default=None)
        if last is not None and last < again.asked_at <= last + WINDOW_S:
            assert again in found.values()


@given(_copies())
def test_each_repeat_speaks_of_one_answer(copies: list[Copy]) -> None:
    said = [again.request_id for again in repeated(copies).values()]
    assert len(said) == len(set(said))
