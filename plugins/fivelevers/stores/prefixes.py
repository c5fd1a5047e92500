"""Lever 1's memory in Redis, shared by every replica: what is known of each prefix, and how routes reuse theirs.

A request waits for one look-up alone, ``LIMIT_S`` at the most; what it taught is written behind it. A Redis that fails
again and again is left alone for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.resources import files
from struct import Struct

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.node import STATE_BYTES, Node, unpacked
from fivelevers.levers.prompt_cache.reuse import Hazards, expired
from fivelevers.stores.breaker import Breaker

LIMIT_S = 0.05
LIVES_S = 7200  # after its last visit; longer than any provider keeps an entry that nobody reads
FLUSH_EVERY_S = 0.05
SHARE_EVERY_S = 10.0  # reuse statistics, written and read back: what is made of them is renewed once a minute
QUEUED_AT_MOST = 20_000  # nodes that wait to be written
COUNTS_LIVE_S = 7 * 86_400

_INDEX = Struct("<H")
_LOOK = (files("fivelevers.stores") / "prefix_look.lua").read_text(encoding="utf-8")
_NOTE = (files("fivelevers.stores") / "prefix_note.lua").read_text(encoding="utf-8")


class Prefixes:
    """One process's access. ``url`` empty: nothing is remembered, and every look-up says so.

    Bound to the event loop that first uses it, as LiteLLM's workers have one each.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.breaker = Breaker()
        self._nodes: dict[tuple[bytes, bytes], bytes] = {}
        self._counts: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._hazards: dict[str, Hazards] = {}
        self._flush: asyncio.Task[None] | None = None
        self._share_at = 0.0

    async def look(self, scope: bytes, nodes: Sequence[bytes]) -> dict[bytes, Node]:
        """The states of those nodes that are known. Raises StoreError when Redis gives no answer in time."""
        redis = self._open()
        try:
            async with asyncio.timeout(LIMIT_S):
                found = await self._scripts[0]([_key(scope)], [b"".join(nodes), LIVES_S], redis)
        except (RedisError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise StoreError(f"redis: prefixes can not be looked up: {type(error).__name__}: {error}") from error
        self.breaker.worked()
        return _found(nodes, found)

    def note(self, scope: bytes, nodes: Mapping[bytes, Node], route: str, counts: Mapping[str, float]) -> None:
        """Write these soon, and add to the route's reuse statistics. Never raises for the state that Redis is in."""
        hazards = self.hazards(route)
        hazards.add(counts)
        for name, count in counts.items():
            self._counts[route][name] += count
        if len(self._nodes) + len(nodes) > QUEUED_AT_MOST:
            metrics.count_bypass("prompt_cache", "queue")
            self._nodes.clear()
        for node_name, node in nodes.items():
            self._nodes[scope, node_name] = node.pack()
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_task(self._write())

    def hazards(self, route: str) -> Hazards:
        """The reuse statistics of a route of the policy, as of the last exchange with the fleet."""
        return self._hazards.setdefault(route, Hazards())

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    def _open(self) -> Redis:
        if not self._url:
            raise StoreError("FIVELEVERS_REDIS_URL is not set: no prefix is remembered")
        if self.breaker.open:
            raise StoreError("redis: did not answer a moment ago")
        loop = asyncio.get_running_loop()
        if self._redis is None or self._loop is not loop:
            self._loop, self._flush = loop, None
            try:
                self._redis = Redis.from_url(
                    self._url,
                    socket_timeout=LIMIT_S * 10,  # of what is written behind; look-ups have their own limit
                    socket_connect_timeout=LIMIT_S,
                    retry=Retry(NoBackoff(), 1),  # the first may find a connection that a restarted Redis has closed
                )
            except ValueError as error:
                fix = "write redis://host:port/0"
                raise StoreError(f"FIVELEVERS_REDIS_URL: can not be used: {error}; {fix}") from error
            self._scripts = self._redis.register_script(_LOOK), self._redis.register_script(_NOTE)
        return self._redis

    async def _write(self) -> None:
        """Until nothing waits: what comes while Redis is written to finds this task still running."""
        waits = True
        while waits:
            await asyncio.sleep(FLUSH_EVERY_S)
            nodes, self._nodes = self._nodes, {}
            try:
                redis = self._open()
                await self._write_nodes(redis, nodes)
                if time.monotonic() >= self._share_at:
                    self._share_at = time.monotonic() + SHARE_EVERY_S
                    for route in tuple(self._hazards):
                        await self._share(redis, route)
            except (RedisError, OSError, StoreError) as error:
                self.breaker.failed()
                metrics.count_bypass("prompt_cache", "redis", StoreError(f"redis: is not written to: {error}"))
                return  # the next request tries again
            waits = bool(self._nodes or self._counts)

    async def _write_nodes(self, redis: Redis, nodes: Mapping[tuple[bytes, bytes], bytes]) -> None:
        by_scope: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for (scope, name), state in nodes.items():
            by_scope[scope] += (name, state)
        for scope, parts in by_scope.items():
            await self._scripts[1]([_key(scope)], [b"".join(parts), STATE_BYTES, LIVES_S], redis)

    async def _share(self, redis: Redis, route: str) -> None:
        """Hand in what this process has counted and take what the fleet has; forget what nobody needs."""
        key, counted = f"fl:reuse:{route}", dict(self._counts.pop(route, {}))
        async with redis.pipeline(transaction=True) as together:
            for name, count in counted.items():
                together.hincrbyfloat(key, name, count)
            together.hgetall(key)
            together.expire(key, COUNTS_LIVE_S)
            try:
                *_, sums, _ = await together.execute()
            except (RedisError, OSError):
                for name, count in counted.items():
                    self._counts[route][name] += count
                raise
        known = {name.decode(): float(value) for name, value in sums.items()}
        gone = expired(known, time.time())
        if gone:
            await redis.hdel(key, *gone)
        for name, count in self._counts.get(route, {}).items():  # counted while Redis was asked
            known[name] = known.get(name, 0.0) + count
        self._hazards[route].replace({name: count for name, count in known.items() if name not in gone})


def _key(scope: bytes) -> bytes:
    """One hash tag for all nodes of a scope: a cluster answers a look-up from one shard."""
    return b"fl:{" + scope + b"}:"


def _found(nodes: Sequence[bytes], joined: bytes) -> dict[bytes, Node]:
    """A state of another length was written by another release: it is forgotten."""
    width = _INDEX.size + STATE_BYTES
    if len(joined) % width:
        return {}
    starts = range(0, len(joined), width)
    return unpacked(
        [(nodes[_INDEX.unpack_from(joined, at)[0]], joined[at + _INDEX.size : at + width]) for at in starts]
    )
