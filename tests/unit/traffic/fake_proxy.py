"""A proxy of a few lines: it echoes the user's text, and does what some texts ask for."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass
class FakeProxy:
    """`chats` and `outcomes` are what arrived: (key, session, text) and (key, body); `patience` by text: the deadline,
    and the SDK's time-out in seconds.
    """

    url: str = ""
    chats: list[tuple[str, str, str]] = field(default_factory=list)
    outcomes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    patience: dict[str, tuple[str, str]] = field(default_factory=dict)
    under_way: int = 0
    most_under_way: int = 0

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        text = body["messages"][-1]["content"]
        self.chats.append((request.headers["authorization"], request.headers["x-fivelevers-session"], text))
        read_timeout_s = f"{float(request.headers['x-stainless-read-timeout']):.0f}"
        self.patience[text] = (request.headers.get("x-fivelevers-deadline", ""), read_timeout_s)
        if text == "refuse":
            return JSONResponse({"error": {"message": "no such model", "type": "invalid_request_error"}}, 400)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(60 if text == "hang" else 0.01)
        self.under_way -= 1
        headers = {} if text == "anonymous" else {"x-fivelevers-request": f"id-{text}"}
        if body.get("stream"):
            return StreamingResponse(_chunks(text), media_type="text/event-stream", headers=headers)
        message = {"role": "assistant", "content": f"You said: {text}"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        return JSONResponse(answer, headers=headers)

    async def outcome(self, request: Request) -> Response:
        self.outcomes.append((request.headers["authorization"], await request.json()))
        return Response(status_code=404 if self.outcomes[-1][1]["request_id"] == "id-unknown" else 202)


async def _chunks(text: str) -> AsyncIterator[str]:
    """A stream, word by word; the text "cut" loses its end."""
    finish = [None, None] if text == "cut" else [None, "stop"]
    for piece, reason in zip(("You said: ", text), finish, strict=True):
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": reason}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        yield f"data: {json.dumps(chunk)}\n\n"
    yield "data: [DONE]\n\n"


@contextlib.contextmanager
def running() -> Iterator[FakeProxy]:
    """The proxy on a free port, in a thread of its own."""
    proxy = FakeProxy()
    routes = [
        Route("/v1/chat/completions", proxy.chat, methods=["POST"]),
        Route("/fivelevers/v1/outcomes", proxy.outcome, methods=["POST"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, ws="none", lifespan="off", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    proxy.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield proxy
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
