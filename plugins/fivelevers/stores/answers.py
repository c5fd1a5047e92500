"""Lever 2's answers in Redis, shared by every replica: which questions there are, which answers they point to.

A question is a hash with its vector, an answer a string; both expire when the answer does, and being read prolongs
nothing. `answer_keys.py` says where they stand.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from secrets import token_hex
from struct import pack as pack_numbers
from typing import TYPE_CHECKING, Any

from fivelevers import metrics
from fivelevers.answer import StoredAnswer
from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.memory import Exact, Vector
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.stores import answer_tags
from fivelevers.stores.answer_epochs import Epochs
from fivelevers.stores.answer_keys import (
    answer_prefix,
    bucket_of,
    lease_key,
    question_key,
    repeat_key,
    served_key,
    vector_field,
)
from fivelevers.stores.answer_record import pack, unpack
from fivelevers.stores.breaker import Breaker
from fivelevers.stores.redis_async import Link, run_script

if TYPE_CHECKING:
    from fivelevers.stores.answer_index import AnswerIndex

_POLL_S = (0.02, 0.05, 0.1)
_SERVED_S = 86_400
_ENTRY = re.compile(r"[0-9a-f]{32}\.[0-9a-f]+")
_EXACT, _RELEASE, _ALIVE, _STORE = (
    (files("fivelevers.stores") / f"answer_{name}.lua").read_text(encoding="utf-8")
    for name in ("exact", "release", "alive", "store")
)


class Answers:
    """One process's access. Every call raises StoreError."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, "semantic_cache")
        self._epochs = Epochs(self._link)
        self._index: AnswerIndex | None = None
        self._waits: dict[tuple[str, str], asyncio.Task[Exact]] = {}  # bounded by the requests in flight
        self._name = token_hex(8)  # whose leases ours are

    @property
    def breaker(self) -> Breaker:
        return self._link.breaker

    async def exact(self, scope: str, question: str, *, lease_s: float) -> Exact:
        """The answer to this very question, word for word. Where there is none: a lease for one caller."""
        keys = (question_key(scope, question), lease_key(scope, question))
        prefix = answer_prefix(scope)
        async with self._link.asking("questions can not be looked up") as redis:
            found = await run_script(redis, _EXACT, keys, prefix, int(lease_s * 1000), self._name)
            answer = unpack(found[3]) if found[0] == b"found" else None
            if found[0] == b"found" and answer is None:  # of a release that wrote otherwise: it would never be replaced
                await redis.delete(keys[0], prefix + found[1].decode())
                found = await run_script(redis, _EXACT, keys, prefix, int(lease_s * 1000), self._name)
        if answer is None:
            return Exact(None, None, own=False, first=found[0] == b"first", taken=found[0] == b"taken")
        return Exact(found[1].decode(), answer, own=found[2] == b"1", first=False, taken=False)

    async def wait(self, scope: str, question: str, *, within_s: float) -> Exact:
        """Until the holder of the lease has stored its answer or given up; all who wait in a process ask as one."""
        key = (scope, question)
        poll = self._waits.get(key)
        if poll is None or poll.get_loop() is not asyncio.get_running_loop():
            poll = asyncio.get_running_loop().create_task(self._poll(scope, question, within_s))
            self._waits[key] = poll
            poll.add_done_callback(lambda done: self._waited(key, done))
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(poll)
        except TimeoutError:
            return Exact(None, None, own=False, first=False, taken=True)

    def _waited(self, key: tuple[str, str], poll: asyncio.Task[Exact]) -> None:
        if self._waits.get(key) is poll:
            del self._waits[key]
        if not poll.cancelled():
            poll.exception()  # nobody may be left to be told

    async def _poll(self, scope: str, question: str, within_s: float) -> Exact:
        ends, pauses = time.monotonic() + within_s, iter(_POLL_S)
        while True:
            await asyncio.sleep(next(pauses, _POLL_S[-1]))
            found = await self.exact(scope, question, lease_s=0)
            if not found.taken or time.monotonic() >= ends:
                return found

    async def release(self, scope: str, question: str) -> None:
        """The holder of the lease has no answer to store: the waiting go on their own."""
        async with self._link.asking("a lease can not be given back") as redis:
            await run_script(redis, _RELEASE, (lease_key(scope, question),), self._name)

    async def nearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """The ``k`` stored questions that are nearest, nearest first; fewer where the answers of some are gone."""
        async with self._link.asking("questions can not be searched") as redis:
            index = self._vectors(redis)
            near = await index.nearest(bucket_of(scope), scope, as_bytes(vector), len(vector), k)
            alive = await run_script(redis, _ALIVE, tuple(near), answer_prefix(scope)) if near else ()
        found = zip(near.items(), alive, strict=True)
        return [_neighbour(key, similarity, fields) for (key, similarity), fields in found if fields]

    async def answer(self, scope: str, answer: str) -> StoredAnswer | None:
        """None where it has expired or was deleted."""
        async with self._link.asking("an answer can not be read") as redis:
            raw = await redis.get(answer_prefix(scope) + answer)
        return None if raw is None else unpack(raw)

    async def store(
        self,
        scope: str,
        question: str,
        vector: Vector | None,
        signature: Signature,
        *,
        answer: str,
        new: StoredAnswer | None,
        judged: bool,
        tags: Sequence[str],
        expires_at: float,
        given: tuple[str, StoredAnswer] | None = None,
    ) -> str | None:
        """Point a question to an answer, ``new`` where that is not stored yet, and end the lease.

        Returns the answer's id: of two callers that store one question at once, the second gets the first one's. None
        where an answer that was stored is gone. ``vector`` None, or no index to have it: only the exact tier knows
        this question. ``given``: id and text of what was answered to this very question, where that is kept beside the
        one that says the same.
        """
        fields: dict[str, Any] = {
            "own": "0" if new is None else "1",
            "judged": "1" if judged else "0",
            "signature": signature.pack(),
            "at": f"{time.time():.3f}",
            "tags": "\n".join(tags),
        }
        blob = b"" if new is None else pack(new)
        own = ("", b"") if given is None else (given[0], pack(given[1]))
        keys = (question_key(scope, question), lease_key(scope, question))
        async with self._link.asking("an answer can not be stored") as redis:
            if vector is not None and await self._indexed(redis, scope, len(vector)):
                fields |= {"scope": scope, vector_field(len(vector)): as_bytes(vector)}
            flat = [part for pair in fields.items() for part in pair]
            stored = await run_script(
                redis, _STORE, keys, answer_prefix(scope), answer, blob, int(expires_at), *own, *flat
            )
        return str(stored.decode()) or None

    async def forget_question(self, scope: str, question: str) -> bool:
        """Whether there was one."""
        async with self._link.asking("a question can not be deleted") as redis:
            return bool(await redis.delete(question_key(scope, question)))

    async def forget_answer(self, scope: str, answer: str) -> bool:
        """Whether there was one. Questions that point to it are candidates no more, and go when they are met."""
        async with self._link.asking("an answer can not be deleted") as redis:
            return bool(await redis.delete(answer_prefix(scope) + answer))

    async def tagged(self, tag: str, *, remove: bool) -> int:
        """How many questions and answers have this tag, in all scopes; with ``remove`` they are deleted.

        Goes through every one: for invalidation and forgetting, not for requests.
        """
        return await answer_tags.tagged(self._link, tag, remove=remove)

    async def take_back(self, what: str, name: str) -> str:
        """Invalidate a route, tenant, model, tag or entry by its name; what was done, empty where nothing was there.

        Raises ValueError on an entry that is none.
        """
        if what == "tag":
            count = await self.tagged(name, remove=True)
            return f"{count} questions and answers deleted" if count else ""
        if what == "entry":
            if _ENTRY.fullmatch(name) is None:
                rule = "is no entry; take what the header x-fivelevers-semantic-cache-entry says"
                raise ValueError(f"entry: {name!r} {rule}")
            return "deleted" if await self.forget_answer(*name.split(".")) else ""
        return f"epoch {await self.raise_epoch(f'{what}:{name}')}"

    async def served(self, request_id: str, scope: str, entry: str) -> None:
        """Note which stored question a request was served from, for an outcome that comes later."""
        async with self._link.asking("a hit can not be noted") as redis:
            await redis.set(served_key(request_id), f"{scope} {entry}", ex=_SERVED_S)

    async def forget_served(self, requests: Collection[str], *, remove: bool) -> int:
        """Of these requests, how many it is noted what they were served from; with ``remove`` no longer."""
        found = 0
        async with self._link.asking("hits can not be gone through", limited=False) as redis:
            for request_id in requests:
                key = served_key(request_id)
                found += await (redis.delete(key) if remove else redis.exists(key))
        return found

    async def may_repeat(self, scope: str, question: str, session: str, entry: str, *, window_s: float) -> None:
        """Note that a session was served ``question`` from ``entry``: asked again within the window, that failed."""
        async with self._link.asking("a hit can not be noted") as redis:
            await redis.set(repeat_key(scope, question, session), entry, px=int(window_s * 1000))

    async def served_from(self, request_id: str) -> tuple[str, str] | None:
        """(scope, question) that a request of the last day was answered from."""
        async with self._link.asking("a hit can not be looked up") as redis:
            found = await redis.get(served_key(request_id))
        if found is None:
            return None
        scope, _, question = found.decode().partition(" ")
        return scope, question

    async def repeats(self, scope: str, question: str, session: str) -> str | None:
        """The stored question that this session was served this very question from a moment ago."""
        async with self._link.asking("a repeat can not be looked up") as redis:
            found = await redis.get(repeat_key(scope, question, session))
        return None if found is None else str(found.decode())

    async def epochs(self, names: Sequence[str]) -> Mapping[str, int]:
        """The epochs that were ever raised, of these names; a second behind at most."""
        return await self._epochs.of(names)

    async def raise_epoch(self, name: str) -> int:
        """From now on nothing of what was stored under this name is found."""
        return await self._epochs.bump(name)

    async def close(self) -> None:
        here = asyncio.get_running_loop()
        waits = [poll for poll in self._waits.values() if poll.get_loop() is here]
        for poll in waits:
            poll.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await self._epochs.close()
        await self._link.close()

    async def _indexed(self, redis: Any, scope: str, dimension: int) -> bool:
        """Whether there is an index for this vector; where not, `nearest` says why at each look-up."""
        try:
            await self._vectors(redis).ensure(bucket_of(scope), dimension)
        except StoreError as error:
            metrics.count_bypass("semantic_cache", "index", error)
            return False
        return True

    def _vectors(self, redis: Any) -> AnswerIndex:
        """RedisVL loads when the first vector comes: the exact tier goes without."""
        try:
            from fivelevers.stores.answer_index import AnswerIndex
        except ImportError as error:
            raise StoreError("redis: RedisVL is not installed: pip install 'fivelevers[semantic]'") from error
        if self._index is None or self._index.redis is not redis:
            self._index = AnswerIndex(redis)
        return self._index


def as_bytes(vector: Vector) -> bytes:
    """As the index keeps it: float16, little endian."""
    return pack_numbers(f"<{len(vector)}e", *vector)


def _neighbour(key: str, similarity: float, fields: Sequence[bytes]) -> Neighbour:
    answer, signature = fields
    return Neighbour(
        question=key.rpartition(":")[2],
        answer=answer.decode(),
        similarity=similarity,
        signature=Signature.unpack(signature),
    )
