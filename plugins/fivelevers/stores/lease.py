"""A turn that one process of a fleet holds at a time, in Redis; who holds it takes it again before it ends."""

from __future__ import annotations

import uuid
from contextlib import suppress
from importlib.resources import files

from redis.exceptions import RedisError

from fivelevers.errors import StoreError
from fivelevers.stores.redis_connection import connect

_HERE = files("fivelevers.stores")
_TAKE, _RELEASE = ((_HERE / name).read_text(encoding="utf-8") for name in ("lease.lua", "lease_release.lua"))


class Lease:
    """One process's access to the turn ``name``."""

    def __init__(self, url: str, name: str) -> None:
        self._redis, self._key, self._me = connect(url), f"fl:lease:{name}", uuid.uuid4().hex

    def take(self, for_s: float) -> bool:
        """Whether it is ours for so many seconds. Raises StoreError when Redis does not answer in time."""
        try:
            return bool(self._redis.eval(_TAKE, 1, self._key, self._me, int(for_s * 1000)))
        except RedisError as error:
            raise StoreError(f"redis: a lease can not be taken: {error}") from error

    def close(self) -> None:
        """Give it back if it is ours; where Redis does not answer it ends by itself."""
        with suppress(RedisError):
            self._redis.eval(_RELEASE, 1, self._key, self._me)
        self._redis.close()
