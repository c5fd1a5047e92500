"""The batch lane's requests in Redis, as those see them who hand them in, wait for them and take them back.

Each step is one script: whoever is killed leaves a request before or after it. All keys share the hash tag `{fl:lane}`,
so the lane's Redis scales up and not out. It must keep what it accepts (AOF, noeviction: `fivelevers check` asks it).

    r:ID    one request (lane_record.py)        g:GROUP   a group: what waits, what it may send, what it has ended
    q:GROUP those that wait, by when they are due        b:BATCH, m:BATCH   a batch and its rows (lane_batches.py)
    t:TENANT  ids by when they were accepted    i:KEY     a key of idempotency    asked   requests in flight by content
    live    those that are asked live, by when somebody else may    untold  ended ones that are still to be told
    ended   a stream of what has ended, for those who wait
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, Literal

import orjson
from redis.exceptions import ResponseError

from fivelevers import metrics
from fivelevers.errors import ContentError, StoreError
from fivelevers.levers.batch.packaging import due_at
from fivelevers.levers.batch.work import Group, Result, View, Work, WorkState
from fivelevers.stores.lane_record import LETTERS, PREFIX, Head, Records, bare, digest, group_json, group_of
from fivelevers.stores.lane_waits import Waits
from fivelevers.stores.redis_async import Link, run_script
from fivelevers.stores.redis_config import LANE_URL

LIMIT_S: Final = 5.0  # of one call: an fsync takes its time, and who asks waits for hours anyway
TAKEN_S: Final = 900.0  # after which somebody else asks live what was taken out and not answered
_FSYNC_MS: Final = 3000
_SCANNED: Final = 500
_DOUBTFUL_AT_MOST: Final = 10_000
_NAME: Final = re.compile("[0-9a-f]{32}")

Conflict = Literal["", "other-body", "in-flight"]
_CONFLICTS: Final[Mapping[bytes, Conflict]] = {b"other-body": "other-body", b"in-flight": "in-flight"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """``id``: of the request that stands. Not ``created``: it was there already, by its key or as the same in flight.

    ``conflict``: the key was used with another body, or its first request has not ended and nothing was attached.
    """

    id: str
    created: bool
    conflict: Conflict = ""


@dataclass(frozen=True, slots=True)
class GroupStats:
    """``queued`` now, ``overdue_s`` of the first of them (below 0: in so long); the rest by state, since ever."""

    group: Group
    queued: int
    overdue_s: float | None
    accepted: int
    ended: Mapping[WorkState, int]


@dataclass(frozen=True, slots=True)
class LaneStats:
    """``open_batches`` and the requests in them, by our batches' states; ``untold``: ended and not yet metered."""

    groups: tuple[GroupStats, ...]
    open_batches: Mapping[str, int]
    open_requests: Mapping[str, int]
    live: int
    untold: int


class UnreadableError(StoreError):
    """A request is there, and was sealed with a key for content that is not given here, or is damaged."""


class Lane:
    """One process's access. Every call raises StoreError when Redis gives no answer or what it has can not be read.

    ``url`` as in FIVELEVERS_LANE_REDIS_URL. Times are seconds of the epoch.
    """

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        self.link = Link(url, "batch", limit_s=LIMIT_S, variable=LANE_URL)
        self.records = Records(environment)
        self._waits = Waits(url, self._ended)
        self._doubtful: deque[str] = deque(maxlen=_DOUBTFUL_AT_MOST)

    async def accept(
        self, work: Work, *, idempotency_key: str | None = None, fingerprint: str = "", attach: bool = False, now: float
    ) -> Accepted:
        """Keep a request. With StoreError it is not kept: ask it live, once.

        ``fingerprint``: of what is asked, empty where it is not known. ``attach``: it is a retry, so that the same in
        flight is as good; with a key, while that one is in flight.
        """
        lives_s = int(max(work.deadline_at - now, 0)) + work.terms.keep_s
        key = digest(work.tenant, idempotency_key).hex() if idempotency_key else ""
        try:
            record = self.records.pack(work, fingerprint)
        except ContentError as error:
            raise StoreError(f"a request can not be sealed: {error}") from error
        arguments = (
            bare(work.id), record, due_at(work), group_json(work.group), work.terms.flush_rows,
            digest(work.tenant).hex(), key, int(attach), work.accepted_at, lives_s,
        )  # fmt: skip
        try:
            async with self.link.asking("a request can not be accepted") as redis:
                standing, how = await self._accept(redis, arguments, durable=work.terms.fsync == "always")
        except (StoreError, asyncio.CancelledError):
            self._doubtful.append(work.id)  # it may be there, and its caller asks it live
            raise
        if self._doubtful:
            await self.withdraw_doubtful()
        return Accepted(f"flr_{standing.decode()}", how == b"created", _CONFLICTS.get(how, ""))

    async def view(self, request_id: str, *, deleted: bool = False) -> View | None:
        """None where there is none, or it is kept no longer; ``deleted``: what is only there to be metered too."""
        if (name := _name(request_id)) is None:
            return None
        async with self.link.asking("a request can not be read") as redis:
            record = await redis.get(f"{PREFIX}r:{name}")
            return await self._view(redis, name, record, deleted=deleted) if record else None

    async def wait(self, request_id: str, within_s: float) -> View | None:
        """The request when it has ended, or as it is when the time is over."""
        async with self._waits.waiting(request_id) as ended:
            found = await self.view(request_id)
            if found is None or found.state.ended:
                return found
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), within_s)
        return await self.view(request_id)

    async def cancel(self, request_id: str) -> View | None:
        """The request as it is then: cancelled, unless it had ended. What the provider has already may still cost."""
        if (name := _name(request_id)) is None:
            return None
        await self._run("a request can not be cancelled", "withdraw", name, "cancel", 0)
        return await self.view(request_id)

    async def take(self, request_id: str) -> bool:
        """The caller asks it live and calls `finish`; whether the provider can not have it, else both are paid.

        Nobody else asks it live meanwhile. Where it is not finished within ``TAKEN_S``, a worker asks it.
        """
        if (name := _name(request_id)) is None:
            return False
        done = await self._run("a request can not be taken out", "withdraw", name, "take", TAKEN_S)
        return bool(done == b"done")

    async def finish(self, result: Result, *, batch: str = "") -> Literal["done", "again", "late", "gone"]:
        """Hand in an answer; the first one wins.

        "again": this very row was handed in before. "late": the request had ended otherwise. ``batch``: ours, that it
        came in.
        """
        try:
            blob = self.records.pack_result(result)
        except ContentError as error:
            raise StoreError(f"a result can not be sealed: {error}") from error
        arguments = (bare(result.work_id), LETTERS[result.state], blob, batch)
        done = await self._run("a result can not be stored", "finish", *arguments)
        outcome: Literal["done", "again", "late", "gone"] = done.decode()
        return outcome

    async def delete(self, request_id: str, *, metered: bool = False) -> bool:
        """Forget a request, cancelled where it had not ended; whether there was one. It is metered all the same.

        ``metered``: the row that a provider had of it was, so that nothing is awaited any more.
        """
        name = _name(request_id)
        return name is not None and bool(await self._run("a request can not be deleted", "delete", name, int(metered)))

    async def page(
        self, tenant: str, *, after: str | None = None, older_than: float | None = None, limit: int = 20
    ) -> list[View]:
        """The tenant's requests, the latest first, without their results; ``after``: the id that the last page ended
        with, ``older_than``: when that was accepted, where it may be another tenant's. Raises StoreError.

        What can not be read is left out and counted: one such request shall not hide the others.
        """
        key = f"{PREFIX}t:{digest(tenant).hex()}"
        async with self.link.asking("requests can not be listed", limited=False) as redis:
            views: list[View] = []
            last = None if after is None else bare(after)
            while len(views) < limit:
                # By the last one's rank, anew each time: what is accepted meanwhile comes before it.
                rank = -1 if last is None else await redis.zrevrank(key, last)
                if rank is None and older_than is not None:
                    rank, older_than = await redis.zcount(key, f"({older_than!r}", "+inf") - 1, None
                names = [] if rank is None else await redis.zrange(key, rank + 1, rank + limit, desc=True)
                if not names:
                    break
                last = names[-1].decode()
                records = await redis.mget([f"{PREFIX}r:{name.decode()}" for name in names])
                for name, record in zip(names, records, strict=True):
                    try:
                        found = await self._view(redis, name.decode(), record) if record else None
                    except UnreadableError as error:
                        metrics.count_bypass("batch", "unreadable", error)
                        continue
                    views += [found] if found is not None else []
            return views[:limit]

    async def every(self) -> AsyncIterator[View | None]:
        """All requests, in no order; those too that are only there to be metered. None for one that can not be read."""
        async with self.link.asking("requests can not be listed", limited=False) as redis:
            async for key in redis.scan_iter(f"{PREFIX}r:*", count=_SCANNED):
                name, record = key.decode().removeprefix(f"{PREFIX}r:"), await redis.get(key)
                try:
                    found = await self._view(redis, name, record, deleted=True) if record else None
                except UnreadableError:
                    yield None
                    continue
                if found is not None:
                    yield found

    async def stats(self, now: float | None = None) -> LaneStats:
        """What there is, in all groups."""
        now = time.time() if now is None else now
        async with self.link.asking("the lane can not be counted", limited=False) as redis:
            ids = sorted(name.decode() for name in await redis.smembers(f"{PREFIX}groups"))
            groups = [await _group_stats(redis, group_id, now) for group_id in ids]
            batches: dict[str, int] = {}
            requests: dict[str, int] = {}
            for batch in await redis.zrange(f"{PREFIX}open", 0, -1):
                state, left = await redis.hmget(f"{PREFIX}b:{batch.decode()}", "state", "left")
                if state is not None:
                    batches[state.decode()] = batches.get(state.decode(), 0) + 1
                    requests[state.decode()] = requests.get(state.decode(), 0) + int(left)
            live, untold = await redis.zcard(f"{PREFIX}live"), await redis.zcard(f"{PREFIX}untold")
        return LaneStats(tuple(g for g in groups if g is not None), batches, requests, live, untold)

    async def withdraw_doubtful(self) -> None:
        """Redis answers again: what it may have kept although its caller was told otherwise is taken back."""
        with suppress(StoreError):
            while self._doubtful:
                request_id = self._doubtful.popleft()  # several may be at it: each has its own
                try:
                    await self._run("a request can not be cancelled", "delete", bare(request_id))
                except BaseException:
                    self._doubtful.append(request_id)
                    raise

    async def close(self) -> None:
        await self._waits.close()
        await self.link.close()

    async def _accept(self, redis: Any, arguments: tuple[Any, ...], *, durable: bool) -> tuple[bytes, bytes]:
        if not durable:
            standing, how = await run_script(redis, script("accept"), [PREFIX], *arguments)
            return standing, how
        # One connection for both: WAITAOF speaks of what its own connection wrote.
        pipe = redis.pipeline(transaction=False)
        pipe.eval(script("accept"), 1, PREFIX, *arguments)
        pipe.execute_command("WAITAOF", 1, 0, _FSYNC_MS)
        (standing, how), (synced, _) = await pipe.execute()
        if not synced:
            raise ResponseError("it is not on disk: the lane's Redis has no AOF, or its disk is slow")
        return standing, how

    async def _view(self, redis: Any, name: str, record: bytes, *, deleted: bool = False) -> View | None:
        head = Head.read(record)
        if head is None or (head.told == "x" and not deleted):
            return None
        group = await redis.hget(f"{PREFIX}g:{head.group}", "group")
        state = head.state
        if state is WorkState.PLANNED:
            of_batch = await redis.hget(f"{PREFIX}b:{head.batch}", "state")
            state = state if of_batch == b"planned" else WorkState.SUBMITTED
        try:
            work = self.records.work(name, record, head, group_of(group))
            result = self.records.result(name, record, head)
        except (ContentError, orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise UnreadableError(f"request flr_{name} can not be read: {error}") from error
        return View(work, state, result, head.batch, head.attempts)

    async def _ended(self, request_ids: list[str]) -> list[str]:
        """Of these, what has ended or is gone."""
        async with self.link.asking("requests can not be read") as redis:
            pipe = redis.pipeline(transaction=False)
            for request_id in request_ids:
                pipe.getrange(f"{PREFIX}r:{bare(request_id)}", 0, 0)
            letters = await pipe.execute()
        return [name for name, letter in zip(request_ids, letters, strict=True) if letter not in (b"Q", b"P", b"L")]

    async def _run(self, what: str, name: str, *arguments: Any) -> Any:
        async with self.link.asking(what) as redis:
            return await run_script(redis, script(name), [PREFIX], *arguments)


async def _group_stats(redis: Any, group_id: str, now: float) -> GroupStats | None:
    values = await redis.hgetall(f"{PREFIX}g:{group_id}")
    if b"group" not in values:
        return None
    first = await redis.zrange(f"{PREFIX}q:{group_id}", 0, 0, withscores=True)
    ended = {state: int(values.get(letter.encode(), 0)) for state, letter in LETTERS.items() if state.ended}
    return GroupStats(
        group=group_of(values[b"group"]),
        queued=await redis.zcard(f"{PREFIX}q:{group_id}"),
        overdue_s=now - first[0][1] if first else None,
        accepted=int(values.get(b"accepted", 0)),
        ended=ended,
    )


def _name(request_id: str) -> str | None:
    """None for what is no id of ours: it comes from a client's path."""
    name = bare(request_id)
    return name if request_id.startswith("flr_") and _NAME.fullmatch(name) else None


_SCRIPTS: dict[str, str] = {}
_WHEN_FULL: Final = "#!lua flags=allow-oom\n"  # a full Redis accepts nothing, and what it has comes to its end


def script(name: str) -> str:
    """A script of the lane with what stands before every one."""
    if name not in _SCRIPTS:
        parts = (files("fivelevers.stores") / f"lane_{part}.lua" for part in ("record", name))
        text = "\n".join(part.read_text(encoding="utf-8") for part in parts)
        _SCRIPTS[name] = text if name == "accept" else f"{_WHEN_FULL}{text}"
    return _SCRIPTS[name]
