"""Whether the Redis of the batch lane keeps what it accepts."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis
from redis.exceptions import RedisError

from fivelevers.errors import Problem, StoreError

LANE_URL = "FIVELEVERS_LANE_REDIS_URL"
_LIMIT_S = 2.0
_WANTED = {
    "maxmemory-policy": (("noeviction",), "evicts accepted batches under pressure"),
    "appendonly": (("yes",), "forgets accepted batches when it restarts"),
    "appendfsync": (("everysec", "always"), "leaves it to the kernel when accepted batches are on disk"),
}


def lane_problems(url: str) -> Iterator[Problem]:
    """What its version and `CONFIG GET` say against accepted work in this Redis.

    Raises StoreError where it can not be asked.
    """
    try:
        redis = Redis.from_url(url, socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S, decode_responses=True)
        with redis:
            found: dict[str | None, str | None] = redis.config_get(*_WANTED)
            version = str(redis.info("server").get("redis_version", ""))
    except (RedisError, ValueError) as error:
        raise StoreError(f"{LANE_URL}: can not be asked for its configuration: {error}") from error
    if too_old(version):
        yield Problem(f"{LANE_URL} redis_version", version, "does not run the lane's scripts", "Redis 7.2 or newer")
    for name, (wanted, why) in _WANTED.items():
        if found.get(name) not in wanted:
            set_it = f"{name} {wanted[0]}"
            fix = f"redis.conf: `{set_it}`, or `CONFIG SET {set_it}`; its own server beside the cache's"
            yield Problem(f"{LANE_URL} {name}", found.get(name), why, fix)


def too_old(version: str) -> bool:
    """Whether it is below 7.2: scripts have no flags before 7.0, and WAITAOF (``fsync: always``) came with 7.2."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return numbers < [7, 2]
