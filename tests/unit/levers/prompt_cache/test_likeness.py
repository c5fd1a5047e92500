"""The last openings of like requests: bounded, and the nearest one counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.difference import What
from fivelevers.levers.prompt_cache.likeness import LIFETIME_S, LastOpenings
from tests.unit.levers.prompt_cache.openings import opening, tool

REST = " Answer in one sentence." * 10


def at_minute(minute: int, rest: str = REST) -> str:
    return f"It is 12:{minute:02}.{rest}"


def test_the_first_of_a_key_has_nothing_to_differ_from() -> None:
    last = LastOpenings()
    assert last.compare("a", b"1", opening(at_minute(1)), 0.0) is None
    assert last.compare("b", b"2", opening(at_minute(2)), 0.0) is None
    assert last.repeats("a", b"1", 1.0)
    assert not last.repeats("a", b"2", 1.0)


def test_it_is_compared_with_the_one_that_it_is_most_like() -> None:
    last = LastOpenings()
    last.compare("a", b"1", opening(at_minute(1)), 0.0)
    last.compare("a", b"2", opening("Quite another prompt of a sub-agent."), 1.0)
    told = last.compare("a", b"3", opening(at_minute(2)), 2.0)
    assert told is not None
    assert told.what is What.TIMESTAMP
    assert told.lost_chars >= len(REST)


def test_most_like_is_what_has_most_in_common_and_not_what_loses_most() -> None:
    tools = [tool("alpha"), tool("beta")]
    last = LastOpenings()
    last.compare("a", b"1", opening(at_minute(1), tools), 0.0)
    last.compare("a", b"2", opening(at_minute(2), tools[::-1]), 1.0)  # all that stands behind its tools would be lost
    told = last.compare("a", b"3", opening(at_minute(2), tools), 2.0)
    assert told is not None
    assert told.what is What.TIMESTAMP


def test_what_could_not_have_been_read_any_more_is_no_loss() -> None:
    last = LastOpenings()
    last.compare("a", b"1", opening(at_minute(1)), 0.0)
    assert last.compare("a", b"2", opening(at_minute(2)), LIFETIME_S) is None


def test_seen_again_is_alive_again() -> None:
    last = LastOpenings()
    last.compare("a", b"1", opening(at_minute(1)), 0.0)
    assert last.repeats("a", b"1", LIFETIME_S - 1)
    assert last.compare("a", b"2", opening(at_minute(2)), LIFETIME_S) is not None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 59), st.integers(0, 400)), max_size=60))
def test_memory_is_bounded(seen: list[tuple[int, int, int]]) -> None:
    last = LastOpenings(keys=3, forms=2, chars=600)
    for at, (key, minute, length) in enumerate(seen):
        text = at_minute(minute, "x" * length)
        last.compare(key, text.encode(), opening(text), float(at))
        kept = last._by_key
        assert len(kept) <= 3
        assert all(len(forms) <= 2 for forms in kept.values())
        assert last._chars == sum(form.opening.chars for forms in kept.values() for form in forms.values()) <= 600
