"""Sending an answer and billing it, whatever becomes of the caller."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

from starlette.types import Message, Receive, Scope, Send

from examples.provider_simulator.call import Chunk
from examples.provider_simulator.latency import Latency

EVENT_STREAM = "text/event-stream; charset=utf-8"


class Meter:
    """What a request has used so far. `close` bills it, once; `begin` makes its cached prefixes readable."""

    def __init__(self, whole_tokens: int, begin: Callable[[], None], bill: Callable[[int, bool], None]) -> None:
        self.begin = begin
        self.output = 0
        self.reported = False
        self._whole_tokens = whole_tokens
        self._bill = bill
        self._closed = False

    def take_all(self) -> None:
        """The whole output is billed, delivered or not."""
        self.output = self._whole_tokens

    def take(self, tokens: int) -> None:
        self.output = min(self.output + tokens, self._whole_tokens)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._bill(self.output, self.reported)


class Delivery:
    """An ASGI response: waits as a model would, sends, and closes the meter also when the caller has gone.

    A plain answer is billed whole, a stream as far as it got; the bill is written before the last bytes leave, so that
    whoever has read an answer finds it there. `hang_s` is the time-out fault: the model has answered, nothing arrives.
    `cut_after` so many chunks the connection breaks, or with `in_order` the body ends as if that were all.
    """

    def __init__(
        self,
        chunks: Iterable[Chunk],
        meter: Meter,
        headers: Mapping[str, str],
        latency: Latency,
        *,
        uncached_tokens: int,
        stream: bool,
        hang_s: float = 0.0,
        cut_after: int | None = None,
        in_order: bool = False,
    ) -> None:
        self._chunks = chunks
        self._meter = meter
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._latency = latency
        self._first_s = latency.first_s(uncached_tokens)
        self._stream = stream
        self._hang_s = hang_s
        self._cut_after = cut_after
        self._in_order = in_order

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        work = asyncio.ensure_future(self._stream_out(send) if self._stream else self._send_whole(send))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            outcome, _ = await asyncio.gather(work, gone, return_exceptions=True)
            self._meter.close()
        if isinstance(outcome, Exception):
            raise outcome

    async def _send_whole(self, send: Send) -> None:
        self._meter.take_all()
        await asyncio.sleep(self._hang_s + self._first_s + self._latency.per_output_s * self._meter.output)
        self._meter.begin()
        body = b"".join(chunk.data for chunk in self._chunks)
        self._meter.reported = True
        self._meter.close()
        await send(_start([*self._headers, (b"content-type", b"application/json")], len(body)))
        await send({"type": "http.response.body", "body": body})

    async def _stream_out(self, send: Send) -> None:
        if self._hang_s:
            self._meter.take_all()
            await asyncio.sleep(self._hang_s)
        await asyncio.sleep(self._first_s)
        self._meter.begin()
        await send(_start([*self._headers, (b"content-type", EVENT_STREAM.encode())]))
        for number, (chunk, last) in enumerate(_with_last(self._chunks)):
            if number == self._cut_after and self._in_order:
                break
            if number == self._cut_after:
                return  # the body never ends: the server closes the connection
            await asyncio.sleep(self._latency.per_output_s * chunk.tokens)
            self._meter.take(chunk.tokens)
            self._meter.reported = self._meter.reported or chunk.has_usage
            if last:
                self._meter.close()
            await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _with_last(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, bool]]:
    """Each chunk, and whether it is the last one."""
    kept: Chunk | None = None
    for chunk in chunks:
        if kept is not None:
            yield kept, False
        kept = chunk
    if kept is not None:
        yield kept, True


def _start(headers: list[tuple[bytes, bytes]], length: int | None = None) -> Message:
    if length is not None:
        headers = [*headers, (b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def disconnected(receive: Callable[[], Awaitable[Message]]) -> None:
    """Returns once the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
