"""The last upstream requests, as they came: what a proxy in front really sent."""

from collections import deque
from typing import Any

from starlette.requests import Request

MAX_REQUESTS = 2000
MAX_BYTES = 64 * 1024 * 1024
_SECRET = {"authorization", "x-api-key", "api-key", "cookie"}


class Recorder:
    """Bounded by number and by the bytes of the bodies; the oldest go first."""

    def __init__(self) -> None:
        self._requests: deque[tuple[int, dict[str, Any]]] = deque()
        self._bytes = 0

    def record(self, request: Request, raw: bytes, at: float) -> None:
        headers = {name: value for name, value in request.headers.items() if name not in _SECRET}
        row = {"at": at, "method": request.method, "path": request.url.path, "headers": headers}
        self._requests.append((len(raw), row | {"body": raw.decode("utf-8", "replace")}))
        self._bytes += len(raw)
        while len(self._requests) > MAX_REQUESTS or self._bytes > MAX_BYTES:
            self._bytes -= self._requests.popleft()[0]

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest `count` requests, oldest first."""
        return [row for _, row in self._requests][-count:] if count > 0 else []

    def clear(self) -> None:
        self._requests.clear()
        self._bytes = 0
