"""A connection to Redis for what no request waits for."""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fivelevers.errors import StoreError

LIMIT_S = 0.5


def connect(url: str) -> Redis:
    """Made when it is first used; each call then takes ``LIMIT_S`` at most. Raises StoreError where the URL is none."""
    try:
        return Redis.from_url(
            url,
            socket_timeout=LIMIT_S,
            socket_connect_timeout=LIMIT_S,
            retry=Retry(NoBackoff(), 1),  # the first one may find a connection that a restarted Redis has closed
            decode_responses=True,
        )
    except ValueError as error:
        raise StoreError(f"FIVELEVERS_REDIS_URL: can not be used: {error}; write redis://host:port/0") from error
