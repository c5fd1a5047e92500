"""The lane in a process of its own, in front of the proxy: it holds the callers that wait for hours.

The proxy decides and accepts, by its own rules; no key, policy or price is known here. What differs is who holds the
connections: proxies restart for a new version or a new config, and would take their callers' answers with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from fivelevers import metrics
from fivelevers.errors import ProxyError, StoreError
from fivelevers.lane.app import PREFIX, call_of
from fivelevers.lane.asgi import (
    ClientGoneError,
    Message,
    Receive,
    Scope,
    Send,
    json_answer,
    raw,
    texts,
    unless_gone,
    whole_body,
)
from fivelevers.lane.call import Call
from fivelevers.lane.contract import HELD_HEADER, LANE_HEADER, PATIENCE_HEADER, RETRY_HEADER
from fivelevers.lane.delivery import IN_LANE, refusal
from fivelevers.lane.holding import Holding
from fivelevers.providers.proxy_calls import ProxyAnswer, ProxyCalls
from fivelevers.stores.lane import Lane

HEALTH: Final = "/health/liveliness"  # as the proxy's: one health check of Envoy's does for both
Headers = tuple[tuple[str, str], ...]
_SAID: Final = ("x-fivelevers-route", "x-fivelevers-request")


@dataclass(frozen=True, slots=True)
class Accepted:
    """By the proxy, for a caller that holds its connection here. ``headers`` go on its answer."""

    work_id: str
    patience_s: float
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Front:
    """The application. ``lane``: the Redis that the proxies accept into."""

    lane: Lane
    calls: ProxyCalls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == HEALTH:
            await json_answer(200, "I'm alive!").send(send)
            return
        began = _Began(send)
        try:
            await self._serve(scope, receive, began)
        except ClientGoneError:
            return
        except ProxyError as error:
            metrics.count_bypass("batch", "proxy", error)
            if began.began:  # as without us: the connection ends
                raise
            await refusal(path.removeprefix(PREFIX), 502, "the proxy does not answer", retry_s=5).send(send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole_body(receive)
        accepted = await unless_gone(self._asked(scope, texts(scope), body, send), receive)
        if accepted is not None:
            call = call_of(scope, scope["path"].removeprefix(PREFIX), body)
            holding = Holding(self.lane, Remote(self.calls), call, accepted.work_id, receive, send)
            await holding.answer(accepted.patience_s, accepted.headers)

    async def _asked(self, scope: Scope, headers: Headers, body: bytes, send: Send) -> Accepted | None:
        """None: the proxy has answered."""
        if not scope["path"].startswith(f"{PREFIX}/"):
            await self._passed(scope, headers, body, send)
            return None
        accepted = await self._passed(scope, (*headers, (HELD_HEADER, "elsewhere")), body, send)
        try:
            if accepted is not None:
                await self.lane.view(accepted.work_id)
        except StoreError as error:  # no way to its Redis from here, or another key for content: the proxy holds it
            metrics.count_bypass("batch", "held-by-proxy", error)
            again = (*(pair for pair in headers if pair[0] != RETRY_HEADER), (RETRY_HEADER, "1"))
            await self._passed(scope, again, body, send)
            return None
        return accepted

    async def _passed(self, scope: Scope, headers: Headers, body: bytes, send: Send) -> Accepted | None:
        async with self.calls.asked(scope["method"], _target(scope), headers, body) as answer:
            told = answer.text_headers
            if answer.status != 202 or PATIENCE_HEADER not in told:
                await _handed_on(answer, send)
                return None
            accepted = orjson.loads(b"".join([part async for part in answer.parts()]))
        said = {name: told[name] for name in _SAID if name in told}
        return Accepted(accepted["id"], float(told[PATIENCE_HEADER]), {**said, LANE_HEADER: IN_LANE})


@dataclass(frozen=True, slots=True)
class Remote:
    """The proxy, asked live over HTTP."""

    calls: ProxyCalls

    async def live(self, call: Call, why: str, receive: Receive, send: Send, *, work_id: str | None = None) -> None:
        async with self.calls.asked("POST", call.path, call.headers, call.body) as answer:
            await _handed_on(answer, send, (LANE_HEADER, f"live; why={why}"))


class _Began:
    """Whether an answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def __call__(self, message: Message) -> None:
        self.began = True
        await self._send(message)


async def _handed_on(answer: ProxyAnswer, send: Send, *said: tuple[str, str]) -> None:
    """Once it has begun a fault of the proxy's ends the connection, as it would without us."""
    start: Message = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": [*answer.headers, *raw(said)]})
    async for part in answer.parts():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _target(scope: Scope) -> str:
    path, query = scope.get("raw_path") or scope["path"].encode(), scope.get("query_string", b"")
    target: bytes = path + (b"?" + query if query else b"")
    return target.decode("latin-1")
