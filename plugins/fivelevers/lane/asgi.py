"""The few things that an ASGI application of a dozen paths needs (asgi.readthedocs.io, HTTP 2.3); no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed its connection before it had its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; ``content`` is JSON."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    async def send(self, send: Send) -> None:
        headers = {"content-type": self.media_type, "content-length": str(len(self.content)), **self.headers}
        await send({"type": "http.response.start", "status": self.status, "headers": raw(headers.items())})
        await send({"type": "http.response.body", "body": self.content})


def json_answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, orjson.dumps(document), headers or {})


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    """RFC 9457."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Answer(status, orjson.dumps(document), headers or {}, "application/problem+json")


def raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def texts(scope: Scope) -> tuple[tuple[str, str], ...]:
    """The request's headers, names in lower case."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])


async def whole_body(receive: Receive) -> bytes:
    """All of it, however large: Envoy and the proxy have their limits. Raises ClientGoneError."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def again(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, for the next application; then what the connection says."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


async def gone(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def unless_gone(asked: Coroutine[Any, Any, T], receive: Receive) -> T:
    """What ``asked`` gives. Raises ClientGoneError as soon as the client has left: nothing goes on for nobody."""
    asking, leaving = asyncio.ensure_future(asked), asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise ClientGoneError
        return asking.result()
    finally:
        for task in (asking, leaving):
            task.cancel()
        await asyncio.gather(asking, leaving, return_exceptions=True)
