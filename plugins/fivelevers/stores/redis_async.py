"""A connection to Redis, or to a Redis Cluster, for what runs in an event loop."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fivelevers.errors import StoreError

CLUSTER_SCHEMES = ("redis+cluster://", "rediss+cluster://")
_CONNECTIONS_AT_MOST = 64


def open_redis(url: str, *, limit_s: float) -> Any:
    """A client that decodes nothing; each of its calls takes ``limit_s`` at most. Raises StoreError on a bad URL.

    ``redis+cluster://host:port`` (or ``rediss+cluster://``) names any node of a cluster.
    """
    if not url:
        raise StoreError("FIVELEVERS_REDIS_URL is not set")
    options: dict[str, Any] = {"socket_timeout": limit_s, "socket_connect_timeout": limit_s}
    try:
        if url.startswith(CLUSTER_SCHEMES):
            return RedisCluster.from_url(url.replace("+cluster", "", 1), **options)
        # The first try may find a connection that a restarted Redis has closed.
        retry = Retry(NoBackoff(), 1)
        return Redis.from_url(url, max_connections=_CONNECTIONS_AT_MOST, retry=retry, **options)
    except ValueError as error:
        fix = "write redis://host:port/0, or redis+cluster://host:port"
        raise StoreError(f"FIVELEVERS_REDIS_URL: can not be used: {error}; {fix}") from error
