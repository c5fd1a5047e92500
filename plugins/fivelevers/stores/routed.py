"""Which model answered each conversation last, for all proxies: in Redis, or without one in this process."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import Final

from fivelevers.stores.redis_async import Link

KEEP_S: Final = 86_400  # after its last answer; signed thinking may come back as long as a conversation rests
_LIMIT_S: Final = 0.05  # that a request waits
_AT_MOST: Final = 100_000  # conversations in this process: about 15 MB


class Routed:
    """One process's access; ``url`` empty: its own memory, of which the conversations noted longest ago go first.

    Only conversations that another model than the strong one answered are here. With Redis both calls may raise
    StoreError.
    """

    def __init__(self, url: str) -> None:
        self._link = Link(url, "routing", limit_s=_LIMIT_S) if url else None
        self._models: OrderedDict[str, str] = OrderedDict()

    async def last(self, group: str, session: str) -> str | None:
        key = _key(group, session)
        if self._link is None:
            return self._models.get(key)
        async with self._link.asking("who answered a conversation can not be read") as redis:
            found = await redis.get(key)
            return found.decode("utf-8", "replace") if isinstance(found, bytes) else None

    async def note(self, group: str, session: str, model: str | None) -> None:
        """None: the strong model, which needs no note."""
        key = _key(group, session)
        if self._link is not None:
            async with self._link.asking("who answered a conversation can not be written") as redis:
                await (redis.delete(key) if model is None else redis.set(key, model, ex=KEEP_S))
            return
        self._models.pop(key, None)
        if model is not None:
            while len(self._models) >= _AT_MOST:
                self._models.popitem(last=False)
            self._models[key] = model


def _key(group: str, session: str) -> str:
    """Groups may be named anything; a session is 16 hex digits."""
    return f"fl:routed:{sha256(group.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}:{session}"
