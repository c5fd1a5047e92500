"""The batch lane in the LiteLLM proxy: its paths stand before LiteLLM's own, and its calls go through the proxy's app.

A call is offered to the proxy under its live path, in this process (parking.py). It comes back parked, or answered.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import HTTPException, Request
from litellm.proxy._types import ProxyException

from fivelevers.batched import request_id
from fivelevers.lane.asgi import App, Message, Receive, Scope, Send, again, raw
from fivelevers.lane.call import Call, Owner, Parked, Refused
from fivelevers.lane.contract import LANE_HEADER
from fivelevers.policy import Caller
from fivelevers.proxies.litellm.authentication import any_caller
from fivelevers.proxies.litellm.parking import Offer, offered
from fivelevers.proxies.litellm.reading import key_name

_OF_A_SCOPE: Final = (
    "type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers",
    "client", "server", "extensions",
)  # fmt: skip


class ProxyHost:
    """``app``: the proxy's own."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def offer(self, call: Call, receive: Receive, send: Send) -> Parked | None:
        offer = Offer(call)
        heard = _Heard(offer, send)
        await self._run(offer, receive, heard)
        if offer.held is None or not heard.kept:
            return None
        if heard.status == 200:
            return offer.held
        # Something of the host's refused the placeholder, which is no answer of anybody's.
        await self.live(call, "host", again(call.body, receive), send)
        return None

    async def live(self, call: Call, why: str, receive: Receive, send: Send, *, work_id: str | None = None) -> None:
        offer = Offer(call, why, request_id=None if work_id is None else request_id(work_id), parkable=False)
        await self._run(offer, receive, _Heard(offer, send))

    async def owner(self, scope: Scope) -> Owner:
        try:
            key = await any_caller(Request({**scope, "state": {}}))
        except HTTPException as error:
            raise Refused(error.status_code, str(error.detail)) from error
        except ProxyException as error:
            code = str(error.code)
            raise Refused(int(code) if code.isdigit() else 401, str(error.message)) from error
        caller = Caller(path="", headers={}, key=key_name(key), team=getattr(key, "team_id", None))
        return Owner(frozenset({caller.tenant("team"), caller.tenant("key")}))

    async def _run(self, offer: Offer, receive: Receive, send: Send) -> None:
        before = offer.call.scope
        scope: dict[str, Any] = {name: before[name] for name in _OF_A_SCOPE if name in before}
        scope["state"] = {}
        token = offered.set(offer)
        try:
            await self._app(scope, receive, send)
        finally:
            offered.reset(token)


class _Heard:
    """Hands an answer on as it comes, and says why it is a live one; keeps back what stands for a parked call."""

    def __init__(self, offer: Offer, send: Send) -> None:
        self._offer, self._send = offer, send
        self.kept = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.kept = self._offer.held is not None
            said = raw([(LANE_HEADER, f"live; why={self._offer.why}")])
            message = {**message, "headers": [*message.get("headers", ()), *said]}
        if not self.kept:
            await self._send(message)
