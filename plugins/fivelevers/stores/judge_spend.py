"""What the judging of each route has cost today, in Redis, so that a budget holds over all proxies."""

from __future__ import annotations

import time

from fivelevers.stores.redis_async import Link

_KEPT_S = 2 * 86_400


class JudgeSpend:
    """One process's access. Both calls raise StoreError."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, "semantic_cache")

    async def spent_usd(self, route: str) -> float:
        """USD since midnight UTC."""
        async with self._link.asking("what judging has cost can not be read") as redis:
            return float(await redis.get(_key(route)) or 0)

    async def add(self, route: str, usd: float) -> None:
        async with self._link.asking("what judging has cost can not be written") as redis:
            await redis.incrbyfloat(_key(route), usd)
            await redis.expire(_key(route), _KEPT_S)


def _key(route: str) -> str:
    return f"fl:judged:{route}:{time.strftime('%Y-%m-%d', time.gmtime())}"
