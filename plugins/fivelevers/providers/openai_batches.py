"""Batches of OpenAI, of Azure, and of those that offer the same API (a base URL of their own)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import IO, Any, Final, TypeVar

import openai
import orjson

from fivelevers.errors import BatchError
from fivelevers.levers.batch.lifecycle import Batch, Failure, Found
from fivelevers.levers.batch.packaging import Limits, batch_body, openai_line
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
_LIMIT_S: Final = 60.0
_KEPT_S: Final = 3 * 86_400  # what a killed worker left at the provider goes by itself
_MARK: Final = "fivelevers_batch"
_BEFORE_S: Final = 3600.0  # clocks differ; a listing is read until it is so much older than the batch
_ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
_TOO_MUCH: Final = "token_limit_exceeded"
_PAGE: Final = 100


class OpenAIBatches:
    """Limits: 50,000 rows and 200 MB a file (OpenAI's batch guide, 2026-11; Azure's are the same)."""

    limits = Limits(rows=50_000, bytes=200_000_000)
    inline = False

    def __init__(self, account: Account) -> None:
        options: dict[str, Any] = {
            "api_key": account.api_key, "max_retries": 0, "timeout": _LIMIT_S, "default_headers": dict(account.headers),
        }  # fmt: skip
        self._azure = account.provider == "azure"
        self._expires = account.provider == "openai"  # others refuse what they do not know
        self._client: openai.AsyncOpenAI
        if self._azure:
            version = account.api_version or "2025-04-01-preview"
            self._client = openai.AsyncAzureOpenAI(azure_endpoint=account.base_url, api_version=version, **options)
        else:
            self._client = openai.AsyncOpenAI(base_url=account.base_url or None, **options)

    async def pack(self, batch: Batch, bodies: Bodies, *, size_bytes: int) -> tuple[IO[bytes], int]:
        packed = Packed(size_bytes)
        async for seq, body in bodies:
            packed.add(openai_line(batch.row_id(seq), batch.group.endpoint, batch_body(body)))
        return packed.done()

    async def upload(self, batch: Batch, packed: IO[bytes]) -> str:
        file = (f"{batch.name}.jsonl", packed, "application/jsonl")
        expires: Any = {"expires_after": {"anchor": "created_at", "seconds": _KEPT_S}} if self._expires else {}
        made = await _asked("a batch file", self._client.files.create(file=file, purpose="batch", **expires))
        return str(made.id)

    async def create(self, batch: Batch, packed: IO[bytes] | None) -> str:
        if (
            self._azure
            and (await _asked("a batch file", self._client.files.retrieve(batch.file))).status != "processed"
        ):
            raise BatchError(f"file {batch.file} is still being processed", Failure.NOT_DONE)
        endpoint: Any = batch.group.endpoint.value
        made = await _asked(
            "a batch",
            self._client.batches.create(
                input_file_id=batch.file, endpoint=endpoint, completion_window="24h", metadata={_MARK: batch.id}
            ),
        )
        return str(made.id)

    async def find(self, batch: Batch) -> Found:
        return Found(tuple(await _asked("the list of batches", self._listed(batch))))

    async def _listed(self, batch: Batch) -> list[str]:
        ids, later, since = [], 0.0, batch.at - _BEFORE_S
        async for one in self._client.batches.list(limit=_PAGE):
            ours = (one.metadata or {}).get(_MARK) == batch.id or one.input_file_id == batch.file
            ids += [one.id] if ours else []
            if one.created_at < since and later > one.created_at:  # the newest first, as OpenAI lists them
                break
            later = one.created_at
        return ids

    async def poll(self, batch: Batch) -> Polled:
        now = await _asked("a batch", self._client.batches.retrieve(batch.provider_id))
        if now.status not in _ENDED:
            return Polled(ended=False)
        found = (now.errors.data or []) if now.errors else []
        why = "; ".join(f"{error.code}: {error.message}" for error in found[:3])
        too_much = any(error.code == _TOO_MUCH for error in found)
        return Polled(True, f"{now.status} {why}".strip(), Failure.TOO_MUCH if too_much else None)

    async def results(self, batch: Batch) -> AsyncIterator[Answered]:
        now = await _asked("a batch", self._client.batches.retrieve(batch.provider_id))
        for file in (now.output_file_id, now.error_file_id):
            if file:
                async for line in self._lines(file):
                    if (answered := _answered(objects(line))) is not None:
                        yield answered

    async def _lines(self, file: str) -> AsyncIterator[bytes]:
        try:
            async with self._client.files.with_streaming_response.content(file) as response:
                async for line in lines(response.iter_bytes()):
                    yield line
        except openai.OpenAIError as error:
            raise _error("a file of results", error) from error

    async def cancel(self, provider_id: str) -> None:
        await _asked("a batch", self._client.batches.cancel(provider_id))

    async def clean(self, batch: Batch) -> None:
        files = [batch.file]
        if batch.provider_id:
            now = await _asked("a batch", self._client.batches.retrieve(batch.provider_id))
            files += [now.output_file_id or "", now.error_file_id or ""]
        for file in filter(None, files):
            try:
                await _asked("a batch file", self._client.files.delete(file))
            except BatchError as error:
                if error.failure != Failure.REFUSED:  # it is gone already, or is none that can be deleted
                    raise

    async def close(self) -> None:
        await self._client.close()


def _answered(row: Any) -> Answered | None:
    row_id, response = row.get("custom_id"), row.get("response")
    if not isinstance(row_id, str):
        return None
    if not isinstance(response, dict) or not isinstance(response.get("status_code"), int):
        return Answered(row_id, 0)  # expired, cancelled, or the provider's own trouble
    status, body = response["status_code"], response.get("body")
    if worth_asking_again(status):
        return Answered(row_id, 0)
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)  # ogx writes text
    return Answered(row_id, status, content, str(response.get("request_id") or ""))


async def _asked(what: str, call: Awaitable[T]) -> T:
    try:
        return await call
    except openai.OpenAIError as error:
        raise _error(what, error) from error


def _error(what: str, error: openai.OpenAIError) -> BatchError:
    status = error.status_code if isinstance(error, openai.APIStatusError) else None
    failure = Failure.TOO_MUCH if status == 429 and _TOO_MUCH in str(error) else failure_of(error, status)
    return BatchError(f"{what}: {type(error).__name__}: {error}", failure)
