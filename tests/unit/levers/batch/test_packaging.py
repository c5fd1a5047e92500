"""Batches keep every limit, leave no row behind for ever, and carry bodies as they were meant."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.batch.packaging import (
    LANE_P95_S,
    Limits,
    Queue,
    Row,
    anthropic_item,
    batch_body,
    cut,
    due_at,
    is_due,
    openai_line,
)
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work

ROWS = st.lists(
    st.builds(
        Row,
        name=st.uuids().map(lambda name: name.hex),
        body_bytes=st.integers(1, 5000),
        tokens=st.integers(0, 2000),
        prefix=st.sampled_from([b"a", b"b", b"c"]),
        attempts=st.integers(0, 3),
        deadline_at=st.floats(0, 1e9),
    ),
    max_size=60,
    unique_by=lambda row: row.name,
)
QUEUES = st.builds(
    Queue,
    rows=st.integers(0, 100),
    body_bytes=st.integers(0, 10**6),
    tokens=st.integers(0, 10**5),
    first_due_at=st.floats(0, 1e6),
    flush_rows=st.integers(1, 50),
    token_cap=st.none() | st.integers(1, 20_000),
    tokens_out=st.integers(0, 20_000),
)
LIMITS = st.builds(Limits, rows=st.integers(1, 40), bytes=st.integers(1000, 60_000))


@given(ROWS, QUEUES, LIMITS)
def test_a_cut_keeps_every_limit_and_is_never_empty(rows: list[Row], queue: Queue, limits: Limits) -> None:
    taken = cut(rows, queue, limits)
    assert bool(taken) == bool(rows)
    assert len(taken) <= min(queue.flush_rows, limits.rows)
    assert {row.name for row in taken} == {row.name for row in rows[: len(taken)]}  # those that are due first
    if len(taken) > 1:
        assert sum(row.body_bytes for row in taken) <= limits.bytes * 0.9
        assert queue.token_room is None or sum(row.tokens for row in taken) <= queue.token_room


@given(ROWS, QUEUES, LIMITS)
def test_rows_with_one_prefix_stand_together(rows: list[Row], queue: Queue, limits: Limits) -> None:
    prefixes = [row.prefix for row in cut(rows, queue, limits)]
    runs = [prefix for at, prefix in enumerate(prefixes) if at == 0 or prefixes[at - 1] != prefix]
    assert len(runs) == len(set(runs))


def test_rows_that_came_back_go_in_smaller_company() -> None:
    queue = Queue(1000, 0, 0, 0.0, flush_rows=1000)
    sizes = []
    for attempts in range(5):
        rows = [Row(f"{n:032x}", 10, 1, b"", attempts if n == 0 else 0, 1e9) for n in range(1000)]
        sizes.append(len(cut(rows, queue, Limits())))
    assert sizes == [1000, 125, 15, 1, 1]


@given(QUEUES, LIMITS, st.floats(0, 2e6))
def test_what_is_due_is_packed_unless_the_provider_has_enough(queue: Queue, limits: Limits, now: float) -> None:
    assert queue.first_due_at is not None
    due = is_due(queue, limits, now)
    if queue.token_room == 0:
        assert not due
    elif now >= queue.first_due_at or queue.rows >= queue.flush_rows:
        assert due


def test_an_empty_queue_and_one_that_is_held_back_are_not_due() -> None:
    assert not is_due(Queue(0, 0, 0, None, flush_rows=1), Limits(), 1e9)
    assert not is_due(Queue(5, 0, 0, 1.0, flush_rows=1, not_before=2e9), Limits(), 1e9)


@given(st.floats(1, 3600), st.floats(3600, 86_400))
def test_a_request_is_due_by_its_age_and_before_a_slow_batch_would_be_late(flush_s: float, deadline_s: float) -> None:
    terms = Terms(flush_age_s=flush_s)
    work = Work("flr_x", Group("p", "a", Endpoint.CHAT, "m"), "t", "r", b"{}", 1e9, 1e9 + deadline_s, 1, terms=terms)
    assert due_at(work) == pytest.approx(min(1e9 + flush_s, 1e9 + deadline_s - LANE_P95_S))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_", max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc_", max_size=5), JSON, max_size=4), st.booleans())
def test_a_line_is_one_line_and_says_the_same(body: dict[str, Any], indented: bool) -> None:
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2 if indented else None)
    line = openai_line("b-1", Endpoint.CHAT, batch_body(raw))
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {"custom_id": "b-1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    assert orjson.loads(anthropic_item("b-1", batch_body(raw))) == {"custom_id": "b-1", "params": body}


def test_marks_and_what_batches_refuse_are_taken_out_and_nothing_else() -> None:
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}, "stream": {"type": "string"}}}
    body = {
        "model": "m", "stream": True, "stream_options": {"include_usage": True}, "service_tier": "batch",
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "\"cache_control\"", "cache_control": {}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"cache_control": 1}}]},
        ],
        "tools": [{"name": "f", "input_schema": schema, "cache_control": {"type": "ephemeral"}}],
    }  # fmt: skip
    assert orjson.loads(batch_body(orjson.dumps(body))) == {
        "model": "m",
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "\"cache_control\""}]},
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": {"cache_control": 1}}]},
        ],
        "tools": [{"name": "f", "input_schema": schema}],
    }  # fmt: skip


def test_a_body_without_them_is_sent_byte_by_byte() -> None:
    raw = b'{"model":"m","temperature":0.10, "n":12345678901234567890123}'
    assert batch_body(raw) is raw
