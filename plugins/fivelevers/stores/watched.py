"""What watching a route's answers has found, over all proxies: in Redis, or without one in this process.

Counts are only ever added to, so proxies may add theirs in any order. They belong to one artifact and to one standing
of the lever's switch: another certificate, or a `resume`, begins anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fivelevers.stores.redis_async import Link

KEEP_S: Final = 90 * 86_400
_LIMIT_S: Final = 1.0  # nobody waits
_AT_MOST: Final = 1000  # certificates in this process

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

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()


def _seen(counts: Mapping[str, int]) -> Seen:
    classes = {int(name): count for name, count in counts.items() if name.isdigit()}
    return Seen(counts.get(TESTED, 0), counts.get(LOST, 0), counts.get(WON, 0), classes)
