"""Lever 2's answers in Redis, shared by every replica: which questions there are, which answers they point to.

A question is a hash with its vector, an answer a string; both expire when the answer does, and being read prolongs
nothing. All that belongs to a scope shares a hash tag, so that scripts and vector searches of a decision stay on one
shard of a cluster: ``fl:{g7}:q:<scope>:<question>``. Scopes are spread over ``BUCKETS`` such tags.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from importlib.resources import files
from struct import pack as pack_numbers
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError

from fivelevers.answer import StoredAnswer
from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.memory import Exact, Vector
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.stores.answer_record import pack, unpack
from fivelevers.stores.breaker import Breaker
from fivelevers.stores.redis_async import open_redis

if TYPE_CHECKING:
    from fivelevers.stores.answer_index import AnswerIndex

BUCKETS = 16  # fixed for good: another number finds no entry again
LIMIT_S = 0.5  # of one call; who waits for a look-up has a limit of its own
EPOCHS_KEY = "fl:epochs"
EPOCHS_LIVE_S = 1.0  # for how long a process goes by what it read
_POLL_S = (0.02, 0.05, 0.1)
_SERVED_S = 86_400
_SCAN = 1000
_EXACT = (files("fivelevers.stores") / "answer_exact.lua").read_text(encoding="utf-8")
_STORE = (files("fivelevers.stores") / "answer_store.lua").read_text(encoding="utf-8")


class Answers:
    """One process's access; bound to the event loop that first uses it. Every call raises StoreError."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Any = None
        self._index: AnswerIndex | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits: dict[tuple[str, str], asyncio.Task[Exact]] = {}  # bounded by the requests in flight
        self._epochs: dict[str, int] | None = None
        self._epochs_at = 0.0
        self._epochs_task: asyncio.Task[None] | None = None
        self._scripts: dict[str, str] = {}
        self.breaker = Breaker()

    async def exact(self, scope: str, question: str, *, lease_s: float) -> Exact:
        """The answer to this very question, word for word. Where there is none: a lease for one caller."""
        keys = (_question(scope, question), _lease(scope, question))
        async with self._asking("questions can not be looked up"):
            found = await self._run(_EXACT, keys, _answers(scope), int(lease_s * 1000))
        state = found[0]
        answer = unpack(found[3]) if state == b"found" else None
        if answer is None:
            return Exact(None, None, own=False, first=state == b"first", taken=state == b"taken")
        return Exact(found[1].decode(), answer, own=found[2] == b"1", first=False, taken=False)

    async def wait(self, scope: str, question: str, *, within_s: float) -> Exact:
        """Until the holder of the lease has stored its answer or given up; all who wait in a process ask as one."""
        key = (scope, question)
        if key not in self._waits:
            self._waits[key] = asyncio.get_running_loop().create_task(self._poll(scope, question, within_s))
            self._waits[key].add_done_callback(lambda _: self._waits.pop(key, None))
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(self._waits[key])
        except TimeoutError:
            return Exact(None, None, own=False, first=False, taken=True)

    async def _poll(self, scope: str, question: str, within_s: float) -> Exact:
        ends, pauses = time.monotonic() + within_s, iter(_POLL_S)
        while True:
            await asyncio.sleep(next(pauses, _POLL_S[-1]))
            found = await self.exact(scope, question, lease_s=0)
            if not found.taken or time.monotonic() >= ends:
                return found

    async def release(self, scope: str, question: str) -> None:
        """The holder of the lease has no answer to store: the waiting go on their own."""
        async with self._asking("a lease can not be given back"):
            await self._redis.delete(_lease(scope, question))

    async def nearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """The ``k`` stored questions that are nearest, nearest first, none expired."""
        async with self._asking("questions can not be searched"):
            rows = await self._vectors().nearest(_bucket(scope), scope, as_bytes(vector), len(vector), k)
        now = time.time()
        return [_neighbour(row, now) for row in rows if float(row.get("expires") or 0) > now]

    async def answer(self, scope: str, answer: str) -> StoredAnswer | None:
        """None where it has expired or was deleted."""
        async with self._asking("an answer can not be read"):
            raw = await self._redis.get(_answers(scope) + answer)
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
        tags: Sequence[str],
        expires_at: float,
    ) -> str | None:
        """Point a question to an answer, ``new`` where that is not stored yet, and end the lease.

        Returns the answer's id: of two callers that store one question at once, the second gets the first one's. None
        where an answer that was stored is gone. ``vector`` None: only the exact tier knows this question.
        """
        fields: dict[str, Any] = {
            "own": "0" if new is None else "1",
            "signature": signature.pack().hex(),
            "at": f"{time.time():.3f}",
            "tags": "\n".join(tags),
        }
        if vector is not None:
            fields |= {"scope": scope, vector_field(len(vector)): as_bytes(vector)}
        flat = [part for pair in fields.items() for part in pair]
        blob = b"" if new is None else pack(new)
        async with self._asking("an answer can not be stored"):
            if vector is not None:
                await self._vectors().ensure(_bucket(scope), len(vector))
            keys = (_question(scope, question), _lease(scope, question))
            stored = await self._run(_STORE, keys, _answers(scope), answer, blob, int(expires_at), *flat)
        return str(stored.decode()) or None

    async def forget_question(self, scope: str, question: str) -> bool:
        """Whether there was one."""
        async with self._asking("a question can not be deleted"):
            return bool(await self._redis.delete(_question(scope, question)))

    async def forget_answer(self, scope: str, answer: str) -> bool:
        """Whether there was one. Questions that point to it find nothing, and go when they are next asked."""
        async with self._asking("an answer can not be deleted"):
            return bool(await self._redis.delete(_answers(scope) + answer))

    async def tagged(self, tag: str, *, remove: bool) -> int:
        """How many questions have this tag, in all scopes; with ``remove`` they and their answers are deleted.

        Goes through every question: for invalidation and forgetting, not for requests.
        """
        found = 0
        async with self._asking("questions can not be gone through"):
            async for keys in self._pages("fl:{g*}:q:*"):
                for key, (tags, answer) in zip(keys, await self._fields(keys, "tags", "answer"), strict=True):
                    if tags is None or answer is None or tag not in tags.decode().split("\n"):
                        continue
                    found += 1
                    if remove:
                        bucket, _, scope, _ = key.decode().rsplit(":", 3)
                        await self._redis.delete(key, f"{bucket}:a:{scope}:{answer.decode()}")
        return found

    async def served(self, request_id: str, scope: str, question: str, session: str, window_s: float | None) -> None:
        """Note what a request was served from, for an outcome that comes later and a repeat in its session."""
        async with self._asking("a hit can not be noted"):
            await self._redis.set(f"fl:served:{request_id}", f"{scope} {question}", ex=_SERVED_S)
            if window_s:
                await self._redis.set(_repeat(scope, question, session), "1", px=int(window_s * 1000))

    async def served_from(self, request_id: str) -> tuple[str, str] | None:
        """(scope, question) that a request of the last day was answered from."""
        async with self._asking("a hit can not be looked up"):
            found = await self._redis.get(f"fl:served:{request_id}")
        if found is None:
            return None
        scope, _, question = found.decode().partition(" ")
        return scope, question

    async def repeats(self, scope: str, question: str, session: str) -> bool:
        """Whether this session was served this question a moment ago."""
        async with self._asking("a repeat can not be looked up"):
            return bool(await self._redis.exists(_repeat(scope, question, session)))

    async def epochs(self, names: Sequence[str]) -> Mapping[str, int]:
        """The epochs that were ever raised, of these names; at most ``EPOCHS_LIVE_S`` and one read behind."""
        if self._epochs is None:
            await self._read_epochs()
        elif time.monotonic() - self._epochs_at > EPOCHS_LIVE_S and self._epochs_task is None:
            self._epochs_task = asyncio.get_running_loop().create_task(self._renew_epochs())
        known = self._epochs or {}
        return {name: known[name] for name in names if name in known}

    async def raise_epoch(self, name: str) -> int:
        """From now on nothing of what was stored under this name is found."""
        async with self._asking("an epoch can not be raised"):
            raised = int(await self._redis.hincrby(EPOCHS_KEY, name, 1))
        self._epochs = None
        return raised

    async def close(self) -> None:
        for task in [*self._waits.values(), *([self._epochs_task] if self._epochs_task else [])]:
            task.cancel()
        if self._redis is not None:
            await self._redis.aclose()

    async def _renew_epochs(self) -> None:
        try:
            await self._read_epochs()
        except StoreError:
            self._epochs_at = time.monotonic()  # look-ups say what is wrong; the last known ones stay
        finally:
            self._epochs_task = None

    async def _read_epochs(self) -> None:
        async with self._asking("epochs can not be read"):
            found = await self._redis.hgetall(EPOCHS_KEY)
        self._epochs = {name.decode("utf-8", "replace"): int(epoch) for name, epoch in found.items()}
        self._epochs_at = time.monotonic()

    async def _pages(self, pattern: str) -> AsyncIterator[list[bytes]]:
        page: list[bytes] = []
        async for key in self._redis.scan_iter(match=pattern, count=_SCAN):
            page.append(key)
            if len(page) >= _SCAN:
                yield page
                page = []
        if page:
            yield page

    async def _fields(self, keys: Sequence[bytes], *names: str) -> list[list[bytes | None]]:
        async with self._redis.pipeline(transaction=False) as together:
            for key in keys:
                together.hmget(key, names)
            return list(await together.execute())

    async def _run(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        """EVALSHA, and EVAL where the server does not know the script yet."""
        digest = self._scripts.setdefault(script, sha1(script.encode()).hexdigest())  # noqa: S324  Redis names scripts by it
        try:
            return await self._redis.evalsha(digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._redis.eval(script, len(keys), *keys, *arguments)

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[None]:
        """Errors by name, and the breaker told. A caller that stops waiting is a failure of Redis too."""
        self._open()
        try:
            async with asyncio.timeout(LIMIT_S):
                yield
        except (RedisError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise StoreError(f"redis: {what}: {type(error).__name__}: {error}") from error
        except asyncio.CancelledError:
            self.breaker.failed()
            raise
        except StoreError:
            raise
        self.breaker.worked()

    def _open(self) -> None:
        if self.breaker.open:
            raise StoreError("redis: did not answer a moment ago")
        loop = asyncio.get_running_loop()
        if self._redis is None or self._loop is not loop:
            self._redis = open_redis(self._url, limit_s=LIMIT_S)
            self._index, self._loop, self._waits, self._epochs_task = None, loop, {}, None

    def _vectors(self) -> AnswerIndex:
        """RedisVL loads when the first vector comes: the exact tier goes without."""
        if self._index is None:
            try:
                from fivelevers.stores.answer_index import AnswerIndex
            except ImportError as error:
                raise StoreError("redis: RedisVL is not installed: pip install 'fivelevers[semantic]'") from error
            self._index = AnswerIndex(self._redis)
        return self._index


def as_bytes(vector: Vector) -> bytes:
    """As the index keeps it: float16, little endian."""
    return pack_numbers(f"<{len(vector)}e", *vector)


def vector_field(dimension: int) -> str:
    """Vectors of two dimensions never stand in one field: an embedder that changes finds an index of its own."""
    return f"v{dimension}"


def _bucket(scope: str) -> str:
    return f"{{g{int(scope[:8], 16) % BUCKETS}}}"


def _question(scope: str, question: str) -> str:
    return f"fl:{_bucket(scope)}:q:{scope}:{question}"


def _lease(scope: str, question: str) -> str:
    return f"fl:{_bucket(scope)}:l:{scope}:{question}"


def _repeat(scope: str, question: str, session: str) -> str:
    return f"fl:{_bucket(scope)}:r:{scope}:{question}:{session}"


def _answers(scope: str) -> str:
    """What the key of each answer in the scope begins with."""
    return f"fl:{_bucket(scope)}:a:{scope}:"


def _neighbour(row: Mapping[str, Any], now: float) -> Neighbour:
    return Neighbour(
        question=str(row["id"]).rpartition(":")[2],
        answer=str(row["answer"]),
        similarity=1.0 - float(row["vector_distance"]),
        verified=True,
        signature=Signature.unpack(bytes.fromhex(str(row.get("signature") or ""))),
        age_s=max(now - float(row.get("at") or now), 0.0),
    )
