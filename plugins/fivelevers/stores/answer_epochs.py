"""Epochs: numbers that scopes contain. Raising one makes everything that was stored under its name unfindable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from fivelevers.errors import StoreError
from fivelevers.stores.redis_async import Link

KEY = "fl:epochs"
LIVE_S = 1.0  # for how long a process goes by what it read


class Epochs:
    """One process's view; it is renewed behind requests, which wait for the first reading alone."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._known: dict[str, int] | None = None
        self._read_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def of(self, names: Sequence[str]) -> Mapping[str, int]:
        """Those of these names that were ever raised; at most ``LIVE_S`` and one reading behind."""
        if self._known is None:
            await self._read()
        elif time.monotonic() - self._read_at > LIVE_S and not self._is_reading():
            self._task = asyncio.get_running_loop().create_task(self._renew())
        known = self._known or {}
        return {name: known[name] for name in names if name in known}

    async def bump(self, name: str) -> int:
        async with self._link.asking("an epoch can not be raised") as redis:
            raised = int(await redis.hincrby(KEY, name, 1))
            before = (self._known or {}).get(name, 0)
            if raised <= before:  # Redis has lost the hash: a number that was used must not come again
                raised = before + 1
                await redis.hset(KEY, name, str(raised))
        if self._known is not None:
            self._known[name] = raised
        return raised

    async def close(self) -> None:
        if self._task is not None and self._is_reading():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _is_reading(self) -> bool:
        task = self._task
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    async def _renew(self) -> None:
        try:
            await self._read()
        except StoreError:
            self._read_at = time.monotonic()  # look-ups say what is wrong; the last known ones stay

    async def _read(self) -> None:
        async with self._link.asking("epochs can not be read") as redis:
            found = {name.decode("utf-8", "replace"): int(epoch) for name, epoch in (await redis.hgetall(KEY)).items()}
            # A Redis that evicted or lost the hash would make findable again what was invalidated.
            lost = {name: epoch for name, epoch in (self._known or {}).items() if epoch > found.get(name, 0)}
            if lost:
                await redis.hset(KEY, mapping=lost)
        self._known, self._read_at = found | lost, time.monotonic()
