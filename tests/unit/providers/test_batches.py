"""What providers answer: whole lines, rows that count and those to ask for again, what an error leaves known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import BatchError
from fivelevers.levers.batch.lifecycle import Failure
from fivelevers.providers import anthropic_batches, openai_batches
from fivelevers.providers.batch_apis import open_provider
from fivelevers.providers.batches import (
    IN_MEMORY_BYTES,
    Account,
    Answered,
    Packed,
    failure_of,
    lines,
    objects,
)


async def _pieces(data: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.lists(st.integers(1, 9), max_size=30))
def test_lines_end_at_line_feeds_alone(texts: list[str], sizes: list[int]) -> None:
    rows = [orjson.dumps({"text": text + "\u2028\x85\x1c"}) for text in texts]

    async def read() -> list[bytes]:
        return [line async for line in lines(_pieces(b"\n".join(rows), sizes))]

    assert asyncio.run(read()) == rows


def test_a_line_that_was_cut_off_is_read_again() -> None:
    with pytest.raises(BatchError) as caught:
        objects(b'{"custom_id": "a", "resp')
    assert caught.value.failure == Failure.UNKNOWN


@pytest.mark.parametrize(
    ("row", "answered"),
    [
        ({"response": {"status_code": 200, "body": {"id": "x"}}}, Answered("b-1", 200, b'{"id":"x"}')),
        ({"response": {"status_code": 200, "body": '{"id":"x"}'}}, Answered("b-1", 200, b'{"id":"x"}')),
        ({"response": {"status_code": 400, "body": {"error": {}}}}, Answered("b-1", 400, b'{"error":{}}')),
        ({"response": {"status_code": 500, "body": {}}}, Answered("b-1", 0)),
        ({"response": {"status_code": 429, "body": {}}}, Answered("b-1", 0)),
        ({"response": None, "error": {"code": "batch_expired"}}, Answered("b-1", 0)),
        ({}, Answered("b-1", 0)),
    ],
)
def test_rows_of_openai(row: dict[str, Any], answered: Answered) -> None:
    assert openai_batches._answered({"custom_id": "b-1", **row}) == answered
    assert openai_batches._answered(row) is None


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"type": "succeeded", "message": {"id": "m"}}, 200, {"id": "m"}),
        ({"type": "expired"}, 0, None),
        ({"type": "canceled"}, 0, None),
        ({"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}}, 400,
         {"type": "error", "error": {"type": "invalid_request_error"}}),
        ({"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error"}}}, 0, None),
        ({"type": "errored", "error": {"type": "error", "error": {"type": "new_error"}}}, 0, None),
    ],
)  # fmt: skip
def test_rows_of_anthropic(result: dict[str, Any], status: int, body: Any) -> None:
    answered = anthropic_batches._answered({"custom_id": "b-1", "result": result})
    assert answered is not None
    assert answered.status == status
    assert body is None or orjson.loads(answered.body) == body


@pytest.mark.parametrize(
    ("status", "failure"),
    [(400, Failure.REFUSED), (401, Failure.NOT_DONE), (404, Failure.REFUSED), (429, Failure.NOT_DONE),
     (408, Failure.UNKNOWN), (409, Failure.UNKNOWN), (500, Failure.UNKNOWN), (529, Failure.UNKNOWN)],
)  # fmt: skip
def test_what_a_status_leaves_known(status: int, failure: Failure) -> None:
    assert failure_of(RuntimeError(), status) is failure


def test_only_what_was_never_sent_is_surely_not_done() -> None:
    def raised(cause: Exception) -> Exception:
        error = RuntimeError("no connection")
        error.__cause__ = cause
        return error

    assert failure_of(raised(httpx.ConnectError("refused")), None) is Failure.NOT_DONE
    assert failure_of(raised(httpx.ReadTimeout("late")), None) is Failure.UNKNOWN
    assert failure_of(raised(httpx.RemoteProtocolError("cut")), None) is Failure.UNKNOWN


@pytest.mark.parametrize("size", [10, IN_MEMORY_BYTES + 1])
def test_what_is_packed_is_what_was_added(size: int) -> None:
    packed = Packed(size)
    for part in (b"one\n", b"two\n"):
        packed.add(part)
    file, rows = packed.done()
    with file:
        assert (file.read(), rows) == (b"one\ntwo\n", 2)


def test_a_key_is_in_no_text_of_its_account() -> None:
    assert "sk-secret" not in repr(Account("main", "openai", "sk-secret", headers={"x-key": "sk-secret"}))


async def test_each_provider_has_its_client() -> None:
    for provider, kind in (("openai", openai_batches.OpenAIBatches), ("anthropic", anthropic_batches.AnthropicBatches)):
        opened = open_provider(Account("main", provider, "sk-x", base_url="http://127.0.0.1:9/v1"))
        assert isinstance(opened, kind)
        await opened.close()
