"""What goes into one batch, when, and with which body: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from fivelevers.levers.batch.work import Endpoint, Work

LANE_P95_S: Final = 3600.0
"""Of a batch, from its making to its results: OpenRouter's first 230,000 batches had 90 % within it."""

_FILL: Final = 0.9  # of a provider's bytes: what a row is wrapped in is counted roughly
_WRAPPING_BYTES: Final = 160
_SHRINK: Final = 8
_MARKS: Final = frozenset({"cache_control", "prompt_cache_breakpoint"})
_MARK_BYTES: Final = tuple(f'"{mark}"'.encode() for mark in sorted(_MARKS))


def due_at(work: Work) -> float:
    """The time by which a request wants to be packed, whatever company it has."""
    return min(work.accepted_at + work.terms.flush_age_s, work.deadline_at - LANE_P95_S)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider takes in one batch."""

    rows: int = 50_000
    bytes: int = 200_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A waiting request. ``prefix``: equal where it is shared; ``attempts``: batches that came back without it."""

    name: str
    body_bytes: int
    tokens: int
    prefix: bytes
    attempts: int
    deadline_at: float


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in one group. ``first_due_at``: None where nothing does.

    ``token_cap``: of prompts at the provider at once, as far as it is known; ``tokens_out``: that are there.
    ``not_before``: the provider had enough for now.
    """

    rows: int
    body_bytes: int
    tokens: int
    first_due_at: float | None
    flush_rows: int
    token_cap: int | None = None
    tokens_out: int = 0
    not_before: float = 0.0

    @property
    def token_room(self) -> int | None:
        return None if self.token_cap is None else max(self.token_cap - self.tokens_out, 0)


def is_due(queue: Queue, limits: Limits, now: float) -> bool:
    """Whether a batch is made now: the first row is due, or one is full."""
    if queue.first_due_at is None or now < queue.not_before or queue.token_room == 0:
        return False
    full_rows = queue.rows >= min(queue.flush_rows, limits.rows)
    full_bytes = queue.body_bytes + queue.rows * _WRAPPING_BYTES >= limits.bytes * _FILL
    full_tokens = queue.token_room is not None and queue.tokens >= queue.token_room
    return now >= queue.first_due_at or full_rows or full_bytes or full_tokens


def cut(rows: Sequence[Row], queue: Queue, limits: Limits) -> list[Row]:
    """The rows of one batch, of ``rows`` by when they are due; those with one prefix stand together.

    Rows that a batch came back without go in smaller company each time, so that one that spoils its whole batch spoils
    few others. One row is taken whatever its size: the provider refuses it, and it is asked live.
    """
    taken: list[Row] = []
    most, size, tokens = min(queue.flush_rows, limits.rows), 0, 0
    room = queue.token_room
    for row in rows:
        most = min(most, max(queue.flush_rows // _SHRINK**row.attempts, 1))
        size, tokens = size + row.body_bytes + _WRAPPING_BYTES, tokens + row.tokens
        over = size > limits.bytes * _FILL or (room is not None and tokens > room)
        if taken and (over or len(taken) >= most):
            break
        taken.append(row)
    first: dict[bytes, int] = {}
    for at, row in enumerate(taken):
        first.setdefault(row.prefix, at)
    return sorted(taken, key=lambda row: first[row.prefix])


def openai_line(row_id: str, endpoint: Endpoint, body: bytes) -> bytes:
    """One line of an OpenAI-shaped batch file."""
    head = b'{"custom_id":"%b","method":"POST","url":"%b","body":' % (row_id.encode(), endpoint.value.encode())
    return head + _one_line(body) + b"}\n"


def anthropic_item(row_id: str, body: bytes) -> bytes:
    """One of the requests of an Anthropic batch."""
    return b'{"custom_id":"%b","params":%b}' % (row_id.encode(), _one_line(body))


def batch_body(body: bytes) -> bytes:
    """A request's body as it goes into a batch: without marks of prompt caching, and not streamed.

    Rows of one batch do not see what the others write to the cache, so that each would pay for its own write and none
    would read (anthropics/skills#1475, bike4mind#2741). OpenAI-shaped APIs refuse ``stream`` and tiers in batches.
    """
    if not any(mark in body for mark in (*_MARK_BYTES, b'"stream', b'"service_tier"', b'"background"')):
        return body
    values: Any = orjson.loads(body)
    if not isinstance(values, dict):
        return body
    for name in ("stream", "stream_options", "service_tier", "background"):
        values.pop(name, None)
    return orjson.dumps(without_marks(values))


def without_marks(value: Any) -> Any:
    """Marks stand beside a block's other fields; what a tool's schema or an argument calls so, is no mark."""
    if isinstance(value, list):
        return [without_marks(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: part if name in _OPAQUE else without_marks(part) for name, part in value.items() if name not in _MARKS
    }


_OPAQUE: Final = frozenset({"input_schema", "parameters", "input", "arguments", "json_schema", "schema", "metadata"})


def _one_line(body: bytes) -> bytes:
    """In JSON a line break stands between tokens alone: in texts it is escaped."""
    return body.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in body or b"\r" in body else body
