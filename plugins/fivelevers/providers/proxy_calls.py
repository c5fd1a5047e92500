"""Calls to the LiteLLM proxy over HTTP, handed on as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from fivelevers.errors import ProxyError, ProxyUnreachableError

_CONNECT_S: Final = 5.0
# Of one connection alone (RFC 9110, 7.6.1).
_HOP: Final = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
})  # fmt: skip
_OURS: Final = frozenset({"host", "content-length"})  # of a request: written anew
_SERVERS: Final = frozenset({"date", "server"})  # of an answer


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """``headers``: as they are handed on."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    _response: httpx.Response

    @property
    def text_headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.headers}

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it was sent, still compressed where it is. Raises ProxyError where it breaks off."""
        try:
            async for part in self._response.aiter_raw():
                yield part
        except httpx.HTTPError as error:
            raise ProxyError(f"the proxy's answer broke off: {type(error).__name__}: {error}") from error


class ProxyCalls:
    """``url``: of the proxy, without a path. An answer may take its time. ``transport``: another way there.

    Raises ProxyError where the URL can be none.
    """

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        _check(url)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=4.0)
        timeout = httpx.Timeout(None, connect=_CONNECT_S)
        self._client = httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, transport=transport)
        for name in tuple(self._client.headers):  # the client's own go on, and none of ours
            del self._client.headers[name]

    @asynccontextmanager
    async def asked(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> AsyncIterator[ProxyAnswer]:
        """``target``: path and query. Raises ProxyError; ProxyUnreachableError where nothing was asked."""
        kept = [(name, value) for name, value in headers if name not in _HOP | _OURS]
        try:
            request = self._client.build_request(method, target, headers=kept, content=body)
            response = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ProxyUnreachableError(f"{self._client.base_url}: {type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise ProxyError(f"{self._client.base_url}: {type(error).__name__}: {error}") from error
        try:
            yield ProxyAnswer(response.status_code, tuple(_handed_on(response.headers.raw)), response)
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._client.aclose()


def _check(url: str) -> None:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ProxyError(f"{url!r} is no URL ({error}); write http://HOST:PORT") from error
    if found.scheme not in ("http", "https") or not found.host:
        raise ProxyError(f"{url!r} is no URL of a proxy; write http://HOST:PORT")


def _handed_on(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return (pair for pair in headers if pair[0].decode("latin-1").lower() not in _HOP | _SERVERS)
