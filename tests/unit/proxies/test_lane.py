"""The lane's way through the proxy's own app."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fivelevers.answer import StoredAnswer
from fivelevers.lane.app import call_of
from fivelevers.lane.asgi import Message, Receive, Scope, Send, again, json_answer, whole_body
from fivelevers.lane.call import Parked
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.answer_cache import Hit
from fivelevers.proxies.litellm.lane import ProxyHost
from fivelevers.proxies.litellm.parking import offered
from fivelevers.request import Api

BODY = b'{"model":"m"}'


async def nothing_more() -> Message:
    """A connection whose client waits."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_placeholder_that_the_host_refuses_is_asked_live_with_the_whole_body() -> None:
    heard: list[tuple[bytes, bool]] = []
    sent: list[Message] = []

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        offer = offered.get()
        assert offer is not None
        heard.append((await whole_body(receive), offer.parkable))
        if offer.parkable:
            offer.parked = cast("Parked", object())
            offer.hit = Hit(Api.CHAT, "c", StoredAnswer("Accepted.", "m", "openai", None, Usage(), 0.0, 1.0), "batch")
            offer.hit.given = True
            await json_answer(451, {"error": "not such an answer"}).send(send)
        else:
            await json_answer(200, {"id": "live"}).send(send)

    async def send(message: Message) -> None:
        sent.append(message)

    path = "/v1/chat/completions"
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": []}
    offering = ProxyHost(proxy).offer(call_of(scope, path, BODY), again(BODY, nothing_more), send)
    assert await asyncio.wait_for(offering, 5) is None
    assert heard == [(BODY, True), (BODY, False)]
    assert [message.get("status") for message in sent] == [200, None]
    assert (b"x-fivelevers-lane", b"live; why=host") in sent[0]["headers"]
