"""A way to Redis, or to a Redis Cluster, for what runs in an event loop: bounded, and with a breaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.stores.breaker import Breaker

ANSWERS_REDIS = "FIVELEVERS_ANSWERS_REDIS_URL"
LIMIT_S = 0.5  # of one call; who waits for a look-up has a limit of its own
CLUSTER_SCHEMES = ("redis+cluster://", "rediss+cluster://")
_CALLS_AT_ONCE = 64  # of one process, and so its connections to each server; further ones wait within their limit


def answers_url(env: Mapping[str, str]) -> str:
    """Of the Redis that stored answers are in: one of their own, which may be a cluster, or the one of everything."""
    return env.get(ANSWERS_REDIS) or env.get("FIVELEVERS_REDIS_URL", "")


def open_redis(url: str, *, limit_s: float, variable: str = "FIVELEVERS_REDIS_URL") -> Any:
    """A client that decodes nothing; each of its calls takes ``limit_s`` at most. Raises StoreError on a bad URL.

    ``redis+cluster://host:port`` (or ``rediss+cluster://``) names any node of a cluster. ``variable``: where the URL
    comes from.
    """
    if not url:
        raise StoreError(f"{variable} is not set")
    # Protocol 2: what a vector search replies is read in less time than with 3.
    options: dict[str, Any] = {"socket_timeout": limit_s, "socket_connect_timeout": limit_s, "protocol": 2}
    try:
        if url.startswith(CLUSTER_SCHEMES):
            return RedisCluster.from_url(url.replace("+cluster", "", 1), **options)
        # The first try may find a connection that a restarted Redis has closed.
        return Redis.from_url(url, retry=Retry(NoBackoff(), 1), **options)
    except ValueError as error:
        fix = "write redis://host:port/0, or redis+cluster://host:port"
        raise StoreError(f"{variable}: can not be used: {error}; {fix}") from error


class Link:
    """One process's access, for ``lever``. It has a client for the event loop that uses it: LiteLLM's workers have one
    each. ``limit_s``: of one call.
    """

    def __init__(
        self, url: str, lever: str, *, limit_s: float = LIMIT_S, variable: str = "FIVELEVERS_REDIS_URL"
    ) -> None:
        self._url, self._lever, self._limit_s, self._variable = url, lever, limit_s, variable
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._away = False
        self.breaker = Breaker()

    @asynccontextmanager
    async def asking(self, what: str, *, limited: bool = True) -> AsyncIterator[Any]:
        """The client, for the limit of one call unless the calls are many.

        Whatever goes wrong is a StoreError, and three silences open the breaker. An error that Redis itself answers
        with is no silence: a full one still reads. A caller that stops waiting tells of one.
        """
        client = self._open()
        try:
            async with asyncio.timeout(self._limit_s if limited else None), self._calls:
                yield client
        except ResponseError as error:
            self._worked()
            raise StoreError(f"redis: {what}: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise StoreError(f"redis: {what}: {type(error).__name__}: {error}") from error
        except asyncio.CancelledError:
            self._failed(TimeoutError("the look-up's deadline has passed"))
            raise
        self._worked()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> Any:
        if self.breaker.open:
            raise StoreError("redis: did not answer a moment ago")
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client = open_redis(self._url, limit_s=self._limit_s, variable=self._variable)
            self._loop, self._calls = loop, asyncio.Semaphore(_CALLS_AT_ONCE)
        return self._client

    def _failed(self, error: Exception) -> None:
        self.breaker.failed()
        if self.breaker.open and not self._away:
            self._away = True
            metrics.count_store(self._lever, error)

    def _worked(self) -> None:
        self.breaker.worked()
        if self._away:
            self._away = False
            metrics.count_store(self._lever, None)


async def run_script(client: Any, script: str, keys: Sequence[str], *arguments: Any) -> Any:
    """EVALSHA, and EVAL where the server does not know the script yet."""
    try:
        return await client.evalsha(_digest(script), len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.eval(script, len(keys), *keys, *arguments)


@lru_cache(maxsize=32)
def _digest(script: str) -> str:
    return sha1(script.encode()).hexdigest()  # noqa: S324  Redis names scripts by it


def shard_of(client: Any, key: str) -> Any:
    """``client``, or of a cluster the one node that holds ``key``: for libraries that ask any node for an index."""
    return _Shard(client, key) if isinstance(client, RedisCluster) else client


class _Shard(Redis):
    """Has no connection of its own: what it is asked, the cluster's client asks the node that holds the key now."""

    def __init__(self, cluster: RedisCluster, key: str) -> None:
        super().__init__(protocol=cluster.connection_kwargs.get("protocol"))  # decides how replies are read
        self._cluster, self._key = cluster, key

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        await self._cluster.initialize()
        node = self._cluster.get_node_from_key(self._key)
        return await self._cluster.execute_command(*args, target_nodes=node, **options)
