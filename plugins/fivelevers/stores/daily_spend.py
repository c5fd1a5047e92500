"""What a lever's own calls have cost on each route today, so that a budget holds over all proxies."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Final

from fivelevers.stores.redis_async import Link

_KEPT_S: Final = 2 * 86_400
_AT_MOST: Final = 1000  # routes and days in this process


class DailySpend:
    """One process's access; ``url`` empty: what this process has spent. With Redis both calls may raise StoreError."""

    def __init__(self, url: str, lever: str) -> None:
        self._link = Link(url, lever) if url else None
        self._lever = lever
        self._usd: defaultdict[str, float] = defaultdict(float)

    async def spent_usd(self, route: str) -> float:
        """USD since midnight UTC."""
        key = self._key(route)
        if self._link is None:
            return self._usd.get(key, 0.0)
        async with self._link.asking("what was spent today can not be read") as redis:
            return float(await redis.get(key) or 0)

    async def add(self, route: str, usd: float) -> None:
        key = self._key(route)
        if self._link is None:
            while len(self._usd) >= _AT_MOST and key not in self._usd:
                del self._usd[next(iter(self._usd))]  # the oldest: of a day that is over
            self._usd[key] += usd
            return
        async with self._link.asking("what was spent today can not be written") as redis:
            await redis.incrbyfloat(key, usd)
            await redis.expire(key, _KEPT_S)

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()

    def _key(self, route: str) -> str:
        return f"fl:spent:{self._lever}:{route}:{time.strftime('%Y-%m-%d', time.gmtime())}"
