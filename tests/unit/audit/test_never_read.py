"""Writes that nobody read, held against a model that knows every entry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit.never_read import NeverRead


def wasted(calls: list[tuple[float, int, int]], lifetime_s: float = 300.0) -> int:
    tracked = NeverRead[str](lifetime_s)
    told = [
        waste for at, read, wrote in [*calls, (1e9, 0, 0)] for waste in tracked.see(at, read, read, read + wrote, "a")
    ]
    return sum(tokens for _, tokens in told)


def test_examples() -> None:
    assert wasted([(0, 0, 1000)]) == 1000
    assert wasted([(0, 0, 1000), (10, 1000, 0)]) == 0
    assert wasted([(0, 0, 1000), (301, 1000, 0)]) == 1000  # by then it was gone
    assert wasted([(0, 0, 1000), (10, 600, 0)]) == 400
    assert wasted([(0, 600, 400), (10, 600, 0)]) == 400
    assert wasted([(0, 0, 1000), (10, 1000, 200), (20, 1200, 0)]) == 0


def test_what_may_still_be_read_is_not_judged() -> None:
    tracked = NeverRead[str](300.0)
    assert tracked.see(0, 0, 0, 1000, "a") == []
    assert tracked.see(200, 0, 0, 500, "b") == []
    assert tracked.see(301, 0, 0, 0, "b") == [("a", 1000)]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3), st.integers(1, 4)), max_size=40))
def test_it_never_says_more_than_was_wasted(arrivals: list[tuple[int, int, int]]) -> None:
    """Chains of 100-token blocks: each call reads what is live of its chain and writes the rest of it."""
    live: dict[tuple[int, int], tuple[float, list[int]]] = {}  # (chain, block) -> last use, readers by write
    calls, writes, at = [], [], 0.0
    for gap, chain, length in arrivals:
        at += gap + 1
        blocks = [(chain, block) for block in range(length)]
        read = 0
        for block in blocks:
            if block not in live or live[block][0] + 10.0 < at:
                break
            live[block][1][0] += 1
            live[block] = (at, live[block][1])
            read += 1
        for block in blocks[read:]:
            live[block] = (at, [0])
            writes.append(live[block][1])
        calls.append((at, read * 100, (length - read) * 100))
    truly = 100 * sum(1 for readers in writes if not readers[0])
    assert wasted(calls, 10.0) <= truly
