"""What each deployment of a model holds, shared by all proxies: in Redis, decided and noted down in one step.

A replica has two keys: what it is believed to hold (a sorted set of steps by last use, the deepest of a path a little
older, so that it goes first) and its queue (a hash). A managed deployment has one: its live prefixes by when they
expire. Keys of one decision share a hash tag. Size is bounded by a replica's KV capacity and by ``MAX_LIVE``; keys that
nobody uses expire. Times are Redis's own, so that the clocks of proxies do not matter.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.affinity import Ending, Path, Placement, Replica
from fivelevers.stores.breaker import Breaker

LIMIT_S: Final = 0.05  # that a request waits
LATER_LIMIT_S: Final = 0.5  # for what is noted down when nobody waits any more
KEEP_S: Final = 6 * 3600
MAX_LIVE: Final = 50_000  # prefixes of one managed deployment: about 5 MB


class Affinity(Protocol):
    """Where it is noted down. Every call may raise StoreError: those that choose within ``LIMIT_S``."""

    async def place(self, group: str, replicas: Sequence[Replica], path: Path) -> Placement:
        """Choose a replica (at least one is given) for a request, and note that it has it."""

    async def ended(self, placement: Placement, ending: Ending) -> None:
        """The placed attempt is over."""

    async def live(self, group: str, deployments: Sequence[str], path: Path) -> dict[str, int]:
        """By managed deployment: how many steps of the path live there."""

    async def keep(self, group: str, deployment: str, path: Path, ttl_s: int) -> None:
        """A managed deployment holds this path from now on for so long; longer lives stay longer."""

    async def close(self) -> None: ...


class RedisAffinity:
    """Bound to the event loop that first uses it; ``url`` as in FIVELEVERS_REDIS_URL."""

    def __init__(self, url: str) -> None:
        self.limit_s = LIMIT_S
        self._url = url
        self._redis: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.breaker = Breaker()

    async def place(self, group: str, replicas: Sequence[Replica], path: Path) -> Placement:
        keys = [key for replica in replicas for key in _keys(group, replica.id)]
        arguments: list[bytes | int | float] = [_packed(path), path.tokens, KEEP_S]
        for replica in replicas:
            arguments += [replica.kv_tokens, replica.prefill_tokens_per_s]
        chosen, held_steps, *rest = await self._run("place", keys, arguments)
        held_since, placed_at, work, mark = map(float, rest)
        return Placement(group, replicas[chosen], path, held_steps, held_since, placed_at, work, mark)

    async def ended(self, placement: Placement, ending: Ending) -> None:
        replica = placement.replica
        what = "failed" if ending.failed else "ended" if ending.first_token_ago_s is None else "first_token"
        added = _packed(placement.path)[_STEP.size * placement.held_steps :] if ending.failed else b""
        gone_until = repr(placement.held_since) if ending.missing else ""
        arguments: list[bytes | str | float] = [
            what, placement.mark, placement.work, ending.first_token_ago_s or 0.0, replica.prefill_tokens_per_s,
            added, placement.placed_at, gone_until,
        ]  # fmt: skip
        await self._run("ended", _keys(placement.group, replica.id), arguments, later=True)

    async def live(self, group: str, deployments: Sequence[str], path: Path) -> dict[str, int]:
        keys = [_live_key(group, deployment) for deployment in deployments]
        return dict(zip(deployments, await self._run("live", keys, [_packed(path)]), strict=True))

    async def keep(self, group: str, deployment: str, path: Path, ttl_s: int) -> None:
        await self._run("keep", [_live_key(group, deployment)], [_packed(path), ttl_s, MAX_LIVE], later=True)

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def _run(
        self, script: str, keys: Sequence[str], arguments: Sequence[bytes | str | float], *, later: bool = False
    ) -> Any:
        if self.breaker.open:
            raise StoreError("redis: did not answer a moment ago: no deployment is pinned")
        redis = self._open()
        try:
            async with asyncio.timeout(max(LATER_LIMIT_S, self.limit_s) if later else self.limit_s):
                answer = await self._scripts[script](keys, arguments, redis)
        except (RedisError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise StoreError(f"redis: deployments can not be pinned: {error or type(error).__name__}") from error
        self.breaker.worked()
        return answer

    def _open(self) -> Redis:
        loop = asyncio.get_running_loop()
        if self._redis is not None and self._loop is loop:
            return self._redis
        try:
            redis = Redis.from_url(
                self._url,
                socket_timeout=max(LATER_LIMIT_S, self.limit_s),
                socket_connect_timeout=self.limit_s,
                retry=Retry(NoBackoff(), 1),  # the first one may find a connection that a restarted Redis has closed
            )
        except ValueError as error:
            raise StoreError(f"FIVELEVERS_REDIS_URL: can not be used: {error}; write redis://host:port/0") from error
        self._redis, self._loop = redis, loop
        self._scripts = {name: redis.register_script(_lua(name)) for name in ("place", "ended", "live", "keep")}
        return redis


_STEP = struct.Struct(">8sI")  # node, tokens: what the scripts take apart again


def _packed(path: Path) -> bytes:
    return b"".join(_STEP.pack(step.node, step.tokens) for step in path.steps)


def _keys(group: str, replica: str) -> list[str]:
    stem = f"fl:affinity:{{{_digest(group)}}}:{_digest(replica)}"
    return [f"{stem}:held", f"{stem}:queue"]


def _live_key(group: str, deployment: str) -> str:
    return f"fl:affinity:{{{_digest(group)}}}:{_digest(deployment)}:live"


def _digest(name: str) -> str:
    """Names of groups and deployments may hold anything, braces too."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _lua(name: str) -> str:
    return (files("fivelevers.stores") / f"affinity_{name}.lua").read_text(encoding="utf-8")
