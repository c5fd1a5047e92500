"""What watching a route's answers has found and cost, over all proxies: in Redis, or without one in this process.

Counts are only ever added to, so proxies may add theirs in any order. They belong to one artifact and to one standing
of the lever's switch: another certificate, or a `resume`, begins anew.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fivelevers.stores.redis_async import Link

KEEP_S: Final = 90 * 86_400
_SPENT_KEEP_S: Final = 2 * 86_400
_LIMIT_S: Final = 1.0  # nobody waits
_AT_MOST: Final = 1000  # routes and days in this process

TESTED, LOST, WON = "tested", "lost", "won"


@dataclass(frozen=True, slots=True)
class Seen:
    """Pairs that were compared; ``classes``: requests by the class of the route's mix that they fell into."""

    tested: int = 0
    lost: int = 0
    won: int = 0
    classes: Mapping[int, int] = field(default_factory=dict)


class Watched:
    """One process's access. With Redis every call may raise StoreError."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, "routing", limit_s=_LIMIT_S) if url else None
        self._counts: dict[str, Counter[str]] = {}
        self._usd: Counter[str] = Counter()

    async def add(self, name: str, counts: Mapping[str, int]) -> Seen:
        """All that was seen under ``name``, with ``counts`` (`tested`, `lost`, `won`, or a class's number)."""
        key = f"fl:watched:{name}"
        if self._link is None:
            while len(self._counts) >= _AT_MOST and key not in self._counts:
                del self._counts[next(iter(self._counts))]
            known = self._counts.setdefault(key, Counter())
            known.update(counts)
            return _seen(known)
        async with self._link.asking("what was watched can not be written") as redis:
            pipe = redis.pipeline(transaction=False)
            for field_, count in counts.items():
                pipe.hincrby(key, field_, count)
            pipe.expire(key, KEEP_S)
            pipe.hgetall(key)
            found = (await pipe.execute())[-1]
        return _seen({field_.decode(): int(count) for field_, count in found.items()})

    async def spent_usd(self, route: str) -> float:
        """Since midnight UTC."""
        if self._link is None:
            return float(self._usd[_day(route)])
        async with self._link.asking("what watching has cost can not be read") as redis:
            return float(await redis.get(_day(route)) or 0)

    async def add_usd(self, route: str, usd: float) -> None:
        if self._link is None:
            if len(self._usd) >= _AT_MOST:
                self._usd.clear()
            self._usd[_day(route)] += usd  # type: ignore[assignment]  # a Counter adds floats as well
            return
        async with self._link.asking("what watching has cost can not be written") as redis:
            await redis.incrbyfloat(_day(route), usd)
            await redis.expire(_day(route), _SPENT_KEEP_S)

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()


def _day(route: str) -> str:
    return f"fl:watched-usd:{route}:{time.strftime('%Y-%m-%d', time.gmtime())}"


def _seen(counts: Mapping[str, int]) -> Seen:
    classes = {int(name): count for name, count in counts.items() if name.isdigit()}
    return Seen(counts.get(TESTED, 0), counts.get(LOST, 0), counts.get(WON, 0), classes)
