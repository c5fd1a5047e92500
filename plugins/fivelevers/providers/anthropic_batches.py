"""Anthropic's Message Batches: rows go with the create, and a batch carries no mark of whose it is.

So a batch that was perhaps created is looked for by when it was made and by its count of requests, and known by the
custom_id of its first result. Until it has ended there is none, and the listing leaves it undecided.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import IO, Any, Final, TypeVar

import anthropic
import orjson
from anthropic.types.messages import MessageBatch

from fivelevers.errors import BatchError
from fivelevers.levers.batch.lifecycle import Batch, Failure, Found
from fivelevers.levers.batch.packaging import Limits, anthropic_item, batch_body
from fivelevers.providers.batches import (
    Account,
    Answered,
    Bodies,
    Packed,
    Polled,
    failure_of,
    lines,
    objects,
    worth_asking_again,
)

T = TypeVar("T")
_PATH: Final = "/v1/messages/batches"
_LIMIT_S: Final = 60.0
_CHUNK_BYTES: Final = 65_536
_CLOCKS_S: Final = 300.0  # by which Anthropic's clock and ours may differ
_PAGE: Final = 100
_STATUS: Final = {  # of an error's type; source: Anthropic's "Errors", 2026-11
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches:
    """Limits: 100,000 requests and 256 MB a batch (Anthropic's batch guide, 2026-11)."""

    limits = Limits(rows=100_000, bytes=256_000_000)
    inline = True

    def __init__(self, account: Account) -> None:
        self._client = anthropic.AsyncAnthropic(
            api_key=account.api_key,
            base_url=account.base_url or None,
            max_retries=0,
            timeout=_LIMIT_S,
            default_headers=dict(account.headers),
        )

    async def pack(self, batch: Batch, bodies: Bodies, *, size_bytes: int) -> tuple[IO[bytes], int]:
        packed, before = Packed(size_bytes), b'{"requests":['
        async for seq, body in bodies:
            packed.add(before + anthropic_item(batch.row_id(seq), batch_body(body)))
            before = b","
        packed.file.write(b"]}")
        return packed.done()

    async def upload(self, batch: Batch, packed: IO[bytes]) -> str:
        return ""

    async def create(self, batch: Batch, packed: IO[bytes] | None) -> str:
        if packed is None:
            raise BatchError("a batch without rows", Failure.REFUSED)
        # Not `messages.batches.create`: it wants all rows in memory, as objects.
        options: Any = {"headers": {"content-type": "application/json"}}
        call = self._client.post(_PATH, cast_to=MessageBatch, content=_chunks(packed), options=options)
        return str((await _asked("a batch", call)).id)

    async def find(self, batch: Batch) -> Found:
        return await _asked("the list of batches", self._found(batch))

    async def _found(self, batch: Batch) -> Found:
        ours, undecided = [], False
        async for one in self._client.messages.batches.list(limit=_PAGE):  # the newest first
            age_s = one.created_at.timestamp() - batch.at
            if age_s < -_CLOCKS_S:
                break
            counts = one.request_counts
            all_rows = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            # Rows can have left between the plan and the create, so there may be fewer.
            if all_rows > batch.rows:
                continue
            if one.processing_status != "ended":
                undecided = True
            elif (first := await self._first(one.id)) is not None and batch.seq(first.row_id) is not None:
                ours.append(one.id)
        return Found(tuple(ours), undecided and not ours)

    async def _first(self, provider_id: str) -> Answered | None:
        rows = self._rows(provider_id)
        try:
            return await anext(rows, None)
        finally:
            await rows.aclose()

    async def poll(self, batch: Batch) -> Polled:
        now = await _asked("a batch", self._client.messages.batches.retrieve(batch.provider_id))
        return Polled(now.processing_status == "ended", now.processing_status)

    def results(self, batch: Batch) -> AsyncIterator[Answered]:
        return self._rows(batch.provider_id)

    async def _rows(self, provider_id: str) -> AsyncGenerator[Answered, None]:
        raw = self._client.messages.batches.with_streaming_response
        try:
            async with raw.results(provider_id) as response:
                async for line in lines(response.iter_bytes()):
                    if (answered := _answered(objects(line))) is not None:
                        yield answered
        except anthropic.AnthropicError as error:
            raise _error("results", error) from error

    async def cancel(self, provider_id: str) -> None:
        await _asked("a batch", self._client.messages.batches.cancel(provider_id))

    async def clean(self, batch: Batch) -> None:
        if not batch.provider_id:
            return
        try:
            await _asked("a batch", self._client.messages.batches.delete(batch.provider_id))
        except BatchError as error:
            if error.failure != Failure.REFUSED:  # it is gone already
                raise

    async def close(self) -> None:
        await self._client.close()


async def _chunks(packed: IO[bytes]) -> AsyncIterator[bytes]:
    packed.seek(0)
    while chunk := packed.read(_CHUNK_BYTES):
        yield chunk


def _answered(row: Any) -> Answered | None:
    row_id, result = row.get("custom_id"), row.get("result")
    if not isinstance(row_id, str) or not isinstance(result, dict):
        return None
    if result.get("type") == "succeeded":
        return Answered(row_id, 200, orjson.dumps(result.get("message")))
    if result.get("type") != "errored":
        return Answered(row_id, 0)  # expired, cancelled
    error = result.get("error") or {}
    kind = (error.get("error") or error).get("type", "")
    status = _STATUS.get(kind, 500)
    return Answered(row_id, 0) if worth_asking_again(status) else Answered(row_id, status, orjson.dumps(error))


async def _asked(what: str, call: Awaitable[T]) -> T:
    try:
        return await call
    except anthropic.AnthropicError as error:
        raise _error(what, error) from error


def _error(what: str, error: anthropic.AnthropicError) -> BatchError:
    status = error.status_code if isinstance(error, anthropic.APIStatusError) else None
    return BatchError(f"{what}: {type(error).__name__}: {error}", failure_of(error, status))
