"""The batch lane in Redis as its workers see it: groups that wait, batches under a lease, what is still to be told.

A batch is held by one worker at a time: a claim lasts for a lease and raises the batch's fence, so that one who comes
back from a long sleep changes nothing more. Leases are timed by Redis, whose clock all workers share.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fivelevers.errors import ContentError, StoreError
from fivelevers.levers.batch.lifecycle import Batch, BatchState
from fivelevers.levers.batch.packaging import Queue, Row
from fivelevers.levers.batch.work import Group, View, Work, WorkState
from fivelevers.stores.lane import Lane, script
from fivelevers.stores.lane_record import HEAD_BYTES, PREFIX, Head, group_of
from fivelevers.stores.redis_async import run_script

T = TypeVar("T")
_CHUNK: Final = 500  # rows of one call: Redis does nothing else meanwhile
_SHOWN_S: Final = 7 * 86_400  # a batch that is gone


@dataclass(frozen=True, slots=True)
class Waiting:
    """A group with requests in its queue."""

    group: Group
    queue: Queue


class Batches:
    """A worker's access through the lane's own connection. Every call raises StoreError."""

    def __init__(self, lane: Lane, who: str = "") -> None:
        self._lane, self._who = lane, who or uuid.uuid4().hex[:8]

    async def waiting(self) -> list[Waiting]:
        """All groups that have something to pack."""
        async with self._lane.link.asking("queues can not be read", limited=False) as redis:
            names = sorted(name.decode() for name in await redis.smembers(f"{PREFIX}groups"))
            found = [await _queue(redis, name) for name in names]
        return [waiting for waiting in found if waiting is not None]

    async def queued(self, group: Group, most: int) -> list[Row]:
        """The first rows of a queue, by when they are due."""
        async with self._lane.link.asking("a queue can not be read", limited=False) as redis:
            names = await redis.zrange(f"{PREFIX}q:{group.id}", 0, most - 1)
        prefixes: dict[bytes, bytes] = {}  # many rows, few prefixes
        return [
            _row(name, head, prefixes.setdefault(head.prefix, head.prefix))
            async for name, head in self._heads(names)
            if head.state is WorkState.QUEUED
        ]

    async def work(self, row: Row) -> Work | None:
        """The request of a row; None where it is gone or can not be decrypted."""
        with suppress(StoreError):
            view = await self._lane.view(f"flr_{row.name}")
            return None if view is None else view.work
        return None

    async def put_off(self, group: Group, row: Row, until: float) -> None:
        """What waits in a queue is due later."""
        await self._run("a request can not be put off", "put_off", group.id, until, row.name)

    async def flush(self) -> int:
        """All that waits is due now, whatever it waits for; how many that are."""
        count = 0
        for waiting in await self.waiting():
            async with self._lane.link.asking("a queue can not be flushed") as redis:
                names = await redis.zrange(f"{PREFIX}q:{waiting.group.id}", 0, -1)
                now, _ = await redis.time()
                await redis.zadd(f"{PREFIX}q:{waiting.group.id}", dict.fromkeys(names, now), xx=True, lt=True)
            count += len(names)
        return count

    async def plan(self, group: Group, rows: Sequence[Row], *, lease_s: float) -> Batch | None:
        """Put waiting rows into a new batch, held for a lease. None: another worker was quicker."""
        name, fence, made = uuid.uuid4().hex[:16], "", None
        deadline = min(row.deadline_at for row in rows)
        for part in _chunks([row.name for row in rows]):
            arguments = (name, fence, self._who, group.id, lease_s, deadline, "".join(part))
            taken = await self._run("a batch can not be planned", "plan", *arguments)
            if not taken:
                return None
            fence, made = taken[1].decode(), _batch(name, _fields(taken[2]), group)
        return made

    async def claim(self, *, lease_s: float) -> Batch | None:
        """The batch that is due first, held for a lease; None where none is."""
        found = await self._run("batches can not be read", "claim", self._who, lease_s)
        return await self._read(found[0].decode(), _fields(found[1])) if found else None

    async def advance(self, batch: Batch, to: BatchState, *, in_s: float, **fields: Any) -> Batch | None:
        """The batch in its next state, to be looked at again in so many seconds; None: it is another's by now."""
        flat = [part for pair in fields.items() for part in pair]
        arguments = (batch.id, batch.fence, batch.state.value, to.value, in_s, _SHOWN_S, *flat)
        found = await self._run("a batch can not be advanced", "advance", *arguments)
        return _batch(batch.id, _fields(found), batch.group) if found else None

    async def renew(self, batch: Batch, *, lease_s: float) -> bool:
        """Whether the batch is still the caller's, for another lease."""
        return bool(await self._run("a batch can not be kept", "renew", batch.id, batch.fence, lease_s))

    async def read(self, batch_id: str) -> Batch | None:
        """A batch as it is, whoever has it."""
        async with self._lane.link.asking("a batch can not be read") as redis:
            values = await redis.hgetall(f"{PREFIX}b:{batch_id}")
        return await self._read(batch_id, values) if values else None

    async def rows(self, batch: Batch) -> list[str]:
        """The names of its rows, as planned: the n-th is row n."""
        async with self._lane.link.asking("a batch can not be read") as redis:
            joined = (await redis.get(f"{PREFIX}m:{batch.id}") or b"").decode()
        return [joined[at : at + 32] for at in range(0, len(joined), 32)]

    async def open_rows(self, batch: Batch) -> list[Row]:
        """Those that have not ended and are not asked live."""
        heads = self._heads([name.encode() for name in await self.rows(batch)])
        return [_row(name, head, head.prefix) async for name, head in heads if _is_in(head, batch)]

    async def bodies(self, batch: Batch) -> AsyncIterator[tuple[int, bytes]]:
        """(row number, body) of those that have not ended. A body that can not be decrypted is asked for live."""
        for start, names in _numbered(await self.rows(batch)):
            async with self._lane.link.asking("requests can not be read") as redis:
                records = await redis.mget([f"{PREFIX}r:{name}" for name in names])
            lost = []
            for seq, (name, record) in enumerate(zip(names, records, strict=True), start):
                head = Head.read(record or b"")
                if head is None or not _is_in(head, batch):
                    continue
                try:
                    yield seq, self._lane.records.body(name, record)
                except ContentError:
                    lost.append(name)
            if lost:
                await self.ask_live(lost)

    async def requeue(self, batch: Batch, *, due_at: float, most: int | None) -> tuple[int, int] | None:
        """Take what a batch still has back: (into the queue, asked live since it came back ``most`` times already).

        ``most`` None: it does not count; -1: all of it is asked live. None: the batch is another's by now.
        """
        queued = live = 0
        for names in _chunks(await self.rows(batch)):
            arguments = (batch.id, batch.fence, "" if most is None else most, due_at, "".join(names))
            moved = await self._run("requests can not be queued again", "requeue", *arguments)
            if not moved:
                return None
            queued, live = queued + moved[0], live + moved[1]
        return queued, live

    async def ask_live(self, names: Sequence[str]) -> int:
        """Have these asked live, whether they wait or are in a batch; how many had not ended."""
        moved = [await self._run("requests can not be asked live", "live", "".join(part)) for part in _chunks(names)]
        return sum(moved)

    async def due_live(self, most: int, *, lease_s: float) -> list[View]:
        """Requests that the caller asks live now; they are somebody else's when the lease is over."""
        names = await self._run("requests can not be read", "due", "live", most, lease_s)
        return await self._views(names)

    async def defer_live(self, view: View, in_s: float, *, count: bool = True) -> int:
        """Somebody asks it in so many seconds. ``count``: it was asked and not answered; how many tries there were."""
        return int(await self._run("a request can not be put off", "defer", view.work.id[4:], in_s, int(count)))

    async def due_told(self, most: int, *, lease_s: float) -> list[View]:
        """Ended requests that the caller tells of now, and says so by `told`."""
        names = await self._run("requests can not be read", "due", "untold", most, lease_s)
        return await self._views(names)

    async def told(self, views: Sequence[View]) -> None:
        await self._run("requests can not be told", "told", *(view.work.id[4:] for view in views))

    async def hold_back(self, group: Group, *, token_cap: int, until: float | None = None) -> None:
        """The group has so many tokens at the provider at most, and makes no batch before then."""
        later = () if until is None else ("not_before", until)
        await self._run("a group can not be held back", "hold", group.id, "token_cap", token_cap, *later)

    async def shown(self, limit: int = 100) -> list[Batch]:
        """The latest batches, those of the last week that are gone too."""
        async with self._lane.link.asking("batches can not be listed", limited=False) as redis:
            names = [name.decode() for name in await redis.zrange(f"{PREFIX}batches", 0, limit - 1, desc=True)]
        found = [await self.read(name) for name in names]
        return [batch for batch in found if batch is not None]

    async def _read(self, name: str, values: dict[bytes, bytes]) -> Batch:
        async with self._lane.link.asking("a group can not be read") as redis:
            group = await redis.hget(f"{PREFIX}g:{values[b'group'].decode()}", "group")
        return _batch(name, values, group_of(group))

    async def _heads(self, names: Sequence[bytes]) -> AsyncIterator[tuple[str, Head]]:
        """Of those that are still there."""
        for part in _chunks(names):
            joined = await self._run("requests can not be read", "heads", b"".join(part))
            for at, name in enumerate(part):
                head = Head.read(joined[at * HEAD_BYTES : (at + 1) * HEAD_BYTES])
                if head is not None:
                    yield name.decode(), head
            await asyncio.sleep(0)

    async def _views(self, names: Sequence[bytes]) -> list[View]:
        """Without those that can not be decrypted: they come up again when the lease is over."""
        found = []
        for name in names:
            try:
                view = await self._lane.view(f"flr_{name.decode()}", deleted=True)
            except StoreError:
                continue
            found += [view] if view is not None else []
        return found

    async def _run(self, what: str, name: str, *arguments: Any) -> Any:
        async with self._lane.link.asking(what) as redis:
            return await run_script(redis, script(name), [PREFIX], *arguments)


def _is_in(head: Head, batch: Batch) -> bool:
    return head.state is WorkState.PLANNED and head.batch == batch.id


async def _queue(redis: Any, name: str) -> Waiting | None:
    rows = await redis.zcard(f"{PREFIX}q:{name}")
    if not rows:
        return None
    values = await redis.hgetall(f"{PREFIX}g:{name}")
    first = await redis.zrange(f"{PREFIX}q:{name}", 0, 0, withscores=True)
    cap = values.get(b"token_cap")
    queue = Queue(
        rows=rows,
        body_bytes=int(values.get(b"bytes", 0)),
        tokens=int(values.get(b"tokens", 0)),
        first_due_at=first[0][1] if first else None,
        flush_rows=int(values.get(b"flush_rows", 1)),
        token_cap=None if cap is None else int(cap),
        tokens_out=int(values.get(b"tokens_out", 0)),
        not_before=float(values.get(b"not_before", 0.0)),
    )
    return Waiting(group_of(values[b"group"]), queue)


def _row(name: str, head: Head, prefix: bytes) -> Row:
    return Row(name, head.body_bytes, head.tokens, prefix, head.attempts, head.deadline_at)


def _batch(name: str, values: dict[bytes, bytes], group: Group) -> Batch:
    return Batch(
        id=name,
        group=group,
        state=BatchState(values[b"state"].decode()),
        fence=int(values[b"fence"]),
        at=float(values[b"at"]),
        age_s=max(float(values.get(b"now", values[b"at"])) - float(values[b"at"]), 0.0),
        made_at=float(values[b"made_at"]),
        rows=int(values[b"rows"]),
        left=int(values[b"left"]),
        tokens=int(values[b"tokens"]),
        rescue_at=float(values[b"rescue_at"]),
        tries=int(values[b"tries"]),
        file=values.get(b"file", b"").decode(),
        provider_id=values.get(b"provider_id", b"").decode(),
    )


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _chunks(names: Sequence[T]) -> Iterator[Sequence[T]]:
    return (names[at : at + _CHUNK] for at in range(0, len(names), _CHUNK))


def _numbered(names: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    return ((at, names[at : at + _CHUNK]) for at in range(0, len(names), _CHUNK))
