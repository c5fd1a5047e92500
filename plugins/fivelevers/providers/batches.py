"""What the lane asks of a provider's batch API.

The SDKs of OpenAI and Anthropic are used directly. LiteLLM's `acreate_batch` sends a create again when it gets no
answer (the SDK's own retries, then the router's), which makes a second batch that is paid for; it lists without paging,
and has no batches of Anthropic's. Here a call is sent once, and an error says what is known: `lifecycle.Failure`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, Protocol

import orjson

from fivelevers.errors import BatchError
from fivelevers.levers.batch.lifecycle import Batch, Failure, Found
from fivelevers.levers.batch.packaging import Limits

IN_MEMORY_BYTES: Final = 8_000_000  # a batch file; larger ones are written to a file that has no name

Bodies = AsyncIterator[tuple[int, bytes]]
"""(row number, JSON body)."""


@dataclass(frozen=True, slots=True)
class Account:
    """Credentials, by the name that a group has for them. ``base_url`` empty: the provider's own.

    ``api_version`` is Azure's. ``headers`` go with each call.
    """

    name: str
    provider: str
    api_key: str = field(repr=False)
    base_url: str = ""
    api_version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Polled:
    """``ended``, in whatever way; ``failure``: why the whole of it failed, where a later try could mend that."""

    ended: bool
    why: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for one row: the live call's HTTP status and body. Status 0: no answer, ask again.

    ``request_id``: the provider's name of the row as a request, where it has one.
    """

    row_id: str
    status: int
    body: bytes = b""
    request_id: str = ""


class BatchProvider(Protocol):
    """One account. Each call raises BatchError, and none is ever sent twice.

    ``inline``: there is no file, the rows go with the create.
    """

    limits: Limits
    inline: bool

    async def pack(self, batch: Batch, bodies: Bodies, *, size_bytes: int) -> tuple[IO[bytes], int]:
        """What will be sent, and how many rows are in it."""

    async def upload(self, batch: Batch, packed: IO[bytes]) -> str:
        """The provider's name of the file. A second one of the same batch costs nothing."""

    async def create(self, batch: Batch, packed: IO[bytes] | None) -> str:
        """The provider's id of the batch. ``packed`` where rows go inline."""

    async def find(self, batch: Batch) -> Found:
        """Ours among the provider's batches, whatever became of the answer to ``create``; all pages are read."""

    async def poll(self, batch: Batch) -> Polled: ...

    def results(self, batch: Batch) -> AsyncIterator[Answered]:
        """All that a batch has answered, in any order, whatever its status."""

    async def cancel(self, provider_id: str) -> None: ...

    async def clean(self, batch: Batch) -> None:
        """Delete what the provider stores of it, as far as it can be deleted."""

    async def close(self) -> None: ...


class Packed:
    """Writes parts, in memory while they are few."""

    def __init__(self, size_bytes: int) -> None:
        # A SpooledTemporaryFile would go to disk as soon as somebody asks for its number, as HTTP clients do.
        self.file: IO[bytes] = io.BytesIO() if size_bytes <= IN_MEMORY_BYTES else tempfile.TemporaryFile()  # noqa: SIM115
        self.rows = 0

    def add(self, part: bytes) -> None:
        self.file.write(part)
        self.rows += 1

    def done(self) -> tuple[IO[bytes], int]:
        self.file.seek(0)
        return self.file, self.rows


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines. Only a line feed ends one: texts hold U+2028 and its like, which splitlines would tear."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


def objects(line: bytes) -> Mapping[str, Any]:
    """One line of results. Raises BatchError, so that it is read again, where it is cut off or no JSON."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BatchError(f"a line of results is no JSON: {error}", Failure.UNKNOWN) from error
    return value if isinstance(value, dict) else {}


_NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
_AGAIN = frozenset({408, 409, 425, 429})
_CREDENTIALS = frozenset({401, 403})


def failure_of(error: BaseException, status: int | None) -> Failure:
    """What a failed call leaves known. 408, 409 and 5xx may have been done; no answer at all, too. Credentials that are
    no good were not used, and somebody mends them: what a batch has answered stays there meanwhile.
    """
    if status is None:
        return (
            Failure.NOT_DONE if any(type(cause).__name__ in _NOT_SENT for cause in _causes(error)) else Failure.UNKNOWN
        )
    if status == 429 or status in _CREDENTIALS:
        return Failure.NOT_DONE
    return Failure.UNKNOWN if status >= 500 or status in _AGAIN else Failure.REFUSED


def worth_asking_again(status: int) -> bool:
    """Whether a row's error is the provider's trouble and not the request's fault."""
    return status >= 500 or status in _AGAIN


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
