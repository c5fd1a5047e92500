"""Where a request goes: the queue as seen from outside, the choice, and which prefixes are tracked."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.affinity import (
    GRAIN_TOKENS,
    Path,
    Placement,
    Queue,
    Replica,
    Standing,
    Step,
    choose,
    deepest,
    path_of,
)
from fivelevers.levers.prompt_cache.prefix import Position, Section

RATE = 100.0
BIG = Replica("big", kv_tokens=1_000_000, prefill_tokens_per_s=RATE)


def positions(sizes: list[int]) -> list[Position]:
    reached, found = 0, []
    for at, size in enumerate(sizes):
        reached += size
        found.append(Position(at.to_bytes(8, "big"), reached, Section.MESSAGES, at + 1))
    return found


def standing(*, held: int = 0, used: int = 0, ahead: float = 0, placed: float = 0, replica: Replica = BIG) -> Standing:
    return Standing(replica, held, used, ahead, placed)


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(0, 60))
def test_what_is_tracked_of_a_prefix_does_not_depend_on_what_follows(sizes: list[int], cut: int) -> None:
    whole, part = path_of(positions(sizes)), path_of(positions(sizes[:cut]))
    assert whole.steps[: len(part.steps)] == part.steps
    assert whole.tokens == sum(sizes)
    assert 0 <= whole.tokens - whole.held(len(whole.steps)) < max(GRAIN_TOKENS, 1024)


@given(st.lists(st.integers(1, 400), max_size=400))
def test_a_long_conversation_of_short_blocks_is_tracked_in_few_steps(sizes: list[int]) -> None:
    path = path_of(positions(sizes))
    assert len(path.steps) <= sum(sizes) / GRAIN_TOKENS


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2000)), min_size=1, max_size=30))
def test_the_queue_is_that_of_a_server_that_works_without_pause(placed: list[tuple[float, int]]) -> None:
    queue, now, free_at = Queue(), 0.0, 0.0
    for wait_s, tokens in placed:
        now += wait_s
        queue = queue.given(tokens, now, RATE)
        free_at = max(free_at, now) + tokens / RATE
        assert queue.outstanding(now, RATE) == pytest.approx((free_at - now) * RATE, abs=1e-6)
    assert queue.outstanding(free_at + 1e-6, RATE) == pytest.approx(0, abs=1e-3)


def test_a_first_token_says_exactly_what_is_done_when_the_server_is_slower_than_thought() -> None:
    queue = Queue().given(1000, 0.0, RATE)
    mark = queue.placed
    queue = queue.given(500, 1.0, RATE)
    assert queue.first_token(mark, 12.0).outstanding(12.0, RATE) == 500


def test_an_older_report_does_not_undo_a_newer_one() -> None:
    queue = Queue().given(1000, 0.0, RATE).given(500, 0.0, RATE)
    newer = queue.first_token(1500, 20.0)
    assert newer.first_token(1000, 12.0) == newer


def test_an_end_alone_says_the_least_that_is_done() -> None:
    queue = Queue().given(1000, 0.0, RATE).given(500, 0.0, RATE)
    assert queue.ended(1000, 2.0, RATE).outstanding(2.0, RATE) == 500
    assert queue.ended(1000, 14.0, RATE) == queue  # expected to be further by then


def test_a_failed_request_leaves_no_work_behind() -> None:
    queue = Queue().given(300, 0.0, RATE).given(700, 0.0, RATE).withdrawn(700)
    assert queue.outstanding(0.0, RATE) == 300


def test_nothing_else_being_different_the_deepest_prefix_wins() -> None:
    assert choose(5000, [standing(held=1000), standing(held=4000), standing(held=2000)]) == 1


def test_a_queue_longer_than_what_the_prefix_saves_sends_the_request_elsewhere() -> None:
    assert choose(5000, [standing(held=4000, ahead=3999), standing()]) == 0
    assert choose(5000, [standing(held=4000, ahead=4001), standing()]) == 1


def test_a_full_replica_with_a_shared_head_does_not_draw_all_conversations() -> None:
    full = standing(held=1000, used=BIG.kv_tokens)
    assert choose(5000, [full, standing()]) == 1
    assert choose(1500, [full, standing()]) == 0


def test_a_faster_replica_may_have_the_longer_queue() -> None:
    fast = Replica("fast", prefill_tokens_per_s=4 * RATE)
    assert choose(1000, [standing(), standing(ahead=2000, replica=fast)]) == 1


def test_of_equals_the_one_that_was_given_least_so_far() -> None:
    assert choose(1000, [standing(placed=10), standing(placed=5), standing(placed=5)]) == 1


@given(
    st.integers(1, 100_000),
    st.lists(st.tuples(*[st.integers(0, 200_000)] * 4), min_size=1, max_size=8),
    st.integers(1, 100_000),
)
def test_holding_more_of_it_never_loses_a_request(tokens: int, rows: list[tuple[int, ...]], more: int) -> None:
    there = [standing(held=min(h, tokens), used=u, ahead=a, placed=p) for h, u, a, p in rows]
    chosen = choose(tokens, there)
    assert there[chosen].cost_s(tokens) == min(one.cost_s(tokens) for one in there)
    better = there[chosen]
    there[chosen] = standing(
        held=min(tokens, better.held + more), used=better.used, ahead=better.outstanding, placed=better.placed
    )
    assert choose(tokens, there) == chosen


def placement(held_steps: int, since_ago_s: float) -> Placement:
    steps = tuple(Step(bytes([at] * 8), 1000) for at in range(4))
    return Placement("g", BIG, Path(steps, 4000), held_steps, 100.0 - since_ago_s, 100.0, 0.0, 0.0)


def test_a_report_of_far_fewer_cached_tokens_means_that_it_was_evicted() -> None:
    assert placement(3, 300).missing(cached=0, prompt=5000)
    assert placement(3, 300).missing(cached=1800, prompt=5000)
    assert not placement(3, 300).missing(cached=2000, prompt=5000)  # 3,750 were expected
    assert not placement(0, 300).missing(cached=0, prompt=5000)


def test_a_prefix_of_a_moment_ago_proves_nothing() -> None:
    assert not placement(3, 5).missing(cached=0, prompt=5000)


def test_of_managed_deployments_the_deepest_live_prefix_that_a_provider_caches() -> None:
    path = Path(tuple(Step(bytes([at] * 8), 600) for at in range(4)), 2400)
    assert deepest({"a": 2, "b": 3, "c": 0}, path) == "b"
    assert deepest({"b": 3, "a": 3}, path) == "a"
    assert deepest({"a": 1, "b": 0}, path) is None
    assert deepest({}, path) is None


def test_steps_of_a_path_add_up() -> None:
    path = path_of(positions([300, 10, 300, 40_000, 2000, 500, 70_000]))
    totals = [path.held(count) for count in range(len(path.steps) + 1)]
    assert all(low < high for low, high in pairwise(totals))
