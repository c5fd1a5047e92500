"""Those of one process who wait for a request of the lane to end: one connection reads the stream of what has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.exceptions import RedisError

from fivelevers.errors import StoreError
from fivelevers.stores.lane_record import PREFIX
from fivelevers.stores.redis_async import open_redis
from fivelevers.stores.redis_config import LANE_URL

_STREAM: Final = f"{PREFIX}ended"
_BLOCK_MS: Final = 2000
_LIMIT_S: Final = 5.0
_AT_ONCE: Final = 1000
_LOOK_EVERY_S: Final = 10.0  # at all of them, whatever the stream says
_REST_S: Final = 1.0

Ended = Callable[[list[str]], Awaitable[list[str]]]
"""Of these requests, those that have ended."""


class Waits:
    """``url``: of the lane's Redis. Reads while somebody waits, in the event loop of whoever waits."""

    def __init__(self, url: str, ended: Ended) -> None:
        self._url, self._ended_of = url, ended
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._last = b"0"
        self._started: asyncio.Event | None = None

    @asynccontextmanager
    async def waiting(self, request_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the request has ended; at once or a little later, and never missed."""
        event = asyncio.Event()
        self._waiting.setdefault(request_id, []).append(event)
        try:
            await self._reading()
            yield event
        finally:
            left = self._waiting[request_id]
            left.remove(event)
            if not left:
                del self._waiting[request_id]

    async def close(self) -> None:
        if self._reader is not None and self._reader.get_loop() is asyncio.get_running_loop():
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _reading(self) -> None:
        """Returns when the stream is read from a place before now: what ends from here on is seen."""
        here = asyncio.get_running_loop()
        if self._reader is None or self._reader.done() or self._reader.get_loop() is not here:
            self._started = asyncio.Event()
            self._reader = here.create_task(self._read(self._started))
        if self._started is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait(), _LIMIT_S)

    async def _read(self, started: asyncio.Event) -> None:
        """Until nobody waits."""
        redis = open_redis(self._url, limit_s=_LIMIT_S, variable=LANE_URL)
        try:
            await self._follow(redis, started)
        finally:
            started.set()
            await redis.aclose()

    async def _follow(self, redis: Any, started: asyncio.Event) -> None:
        last, look_at = b"", 0.0
        clock = asyncio.get_running_loop().time
        while self._waiting:
            try:
                last = last or await _end(redis)
                started.set()
                found = await redis.xread({_STREAM: last}, count=_AT_ONCE, block=_BLOCK_MS)
                for _, entries in found:
                    last = entries[-1][0]
                    self._tell(f"flr_{fields[b'id'].decode()}" for _, fields in entries)
                if clock() >= look_at:
                    look_at = clock() + _LOOK_EVERY_S
                    self._tell(await self._ended_of(list(self._waiting)))
            except (RedisError, OSError, StoreError, TimeoutError):
                last = b""  # a Redis that was emptied counts anew
                look_at = 0.0
                await asyncio.sleep(_REST_S)

    def _tell(self, request_ids: Any) -> None:
        for request_id in request_ids:
            for event in self._waiting.get(request_id, ()):
                event.set()


async def _end(redis: Any) -> bytes:
    """The place in the stream that what ends from now on comes after."""
    newest = await redis.xrevrange(_STREAM, count=1)
    return newest[0][0] if newest else b"0"
