"""An embedding endpoint that works, and every way in which one may not; served for real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fivelevers.errors import EmbedderError
from fivelevers.providers.embedding_endpoint import EmbeddingEndpoint


class Service:
    """Answers as it is told to, and remembers what it was asked."""

    status = 200
    answer: Any = None
    asked: dict[str, Any]
    key: str | None = None


@pytest.fixture
def service() -> Iterator[tuple[Service, str]]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.key = self.headers.get("authorization")
            rows = [{"index": n, "embedding": [3.0, 4.0 + n]} for n in range(len(told.asked["input"]))]
            body = json.dumps(told.answer if told.answer is not None else {"data": rows[::-1]}).encode()
            self.send_response(told.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


async def test_vectors_come_in_order_and_of_unit_length(
    service: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, url = service
    monkeypatch.setenv("MY_KEY", "sk-secret")
    made = EmbeddingEndpoint(url, "small", 2, "MY_KEY")
    first, second = await made.embed(["a", "b"])
    assert first == [0.6, 0.8]
    assert second[1] > first[1]
    assert (told.asked["model"], told.asked["input"], told.key) == ("small", ["a", "b"], "Bearer sk-secret")
    assert made.version.endswith(":small:2")


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (500, {}, "status 500"),
        (200, {"data": []}, "0 vectors for 1 texts"),
        (200, {"nothing": 1}, "did not answer with embeddings"),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}, "did not answer with embeddings"),
        (200, {"data": [{"index": 0, "embedding": [1.0]}]}, "the policy says 2"),
        (200, {"data": [{"index": 0, "embedding": [0.0, 0.0]}]}, "without a direction"),
        (200, {"data": [{"index": 0, "embedding": [float("nan"), 1.0]}]}, "without a direction"),
    ],
)
async def test_whatever_is_wrong_is_said_without_the_key(
    service: tuple[Service, str], monkeypatch: pytest.MonkeyPatch, status: int, answer: Any, says: str
) -> None:
    told, url = service
    monkeypatch.setenv("MY_KEY", "sk-secret")
    told.status, told.answer = status, answer
    with pytest.raises(EmbedderError) as caught:
        await EmbeddingEndpoint(url, "small", 2, "MY_KEY").embed(["a"])
    assert says in str(caught.value)
    assert "sk-secret" not in str(caught.value)


async def test_nobody_there(unused_tcp_port: int) -> None:
    with pytest.raises(EmbedderError, match="ConnectError"):
        await EmbeddingEndpoint(f"http://127.0.0.1:{unused_tcp_port}/v1", "small", 2).embed(["a"])
