"""Look-ups of a stored answer, ours and others', over the same made-up entries in one Redis."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from redis.asyncio import Redis
from redisvl.query.filter import Tag
from rich.progress import Progress

from fivelevers.answer import StoredAnswer
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.prices import Usage
from fivelevers.stores.answer_index import AnswerIndex
from fivelevers.stores.answer_keys import bucket_of
from fivelevers.stores.answers import Answers, as_bytes

DIMENSION = 384
ANSWER_BYTES = 800
K = 8
_AT_ONCE = 32
_LIVES_S = 3600.0
_NOISE = 0.015  # of each coordinate of a query: its cosine with what it looks for is about .96
_VOCABULARY = 5000  # made-up words, the nth drawn as often as 1/n: random letters would be unique terms to RedisVL

Look = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Entries:
    """Questions of unit length, spread over scopes; each has its own answer of `ANSWER_BYTES`."""

    vectors: np.ndarray
    queries: np.ndarray
    scopes: Sequence[str]  # of each entry
    answers: Sequence[str]

    def __len__(self) -> int:
        return len(self.scopes)

    def question(self, n: int) -> str:
        return f"{n:032x}"


def made(count: int, scopes: Sequence[str], seed: int) -> Entries:
    """``count`` entries; their scopes are taken in turn."""
    numbers, rng = np.random.default_rng(seed), random.Random(seed)
    vectors = _unit(numbers.standard_normal((count, DIMENSION), dtype=np.float32))
    queries = _unit(vectors + _NOISE * numbers.standard_normal(vectors.shape, dtype=np.float32))
    return Entries(vectors, queries, [scopes[n % len(scopes)] for n in range(count)], _texts(count, rng))


def scope_names(count: int, seed: int, bucket: str | None = None) -> list[str]:
    """Scopes; all of one bucket where that is named."""
    rng, found = random.Random(seed), list[str]()
    while len(found) < count:
        name = f"{rng.getrandbits(128):032x}"
        if bucket is None or bucket_of(name) == bucket:
            found.append(name)
    return found


class Ours:
    """The store of lever 2, and its vector search alone."""

    def __init__(self, url: str, entries: Entries) -> None:
        self.store, self._entries = Answers(url), entries
        self._redis = Redis.from_url(url, protocol=2)
        self._index = AnswerIndex(self._redis)

    async def load(self, progress: Progress) -> None:
        await _each(range(len(self._entries)), self._put, progress, "ours")

    async def _put(self, n: int) -> None:
        entries, now = self._entries, time.time()
        usage = Usage(input=200, output=160)
        answer = StoredAnswer(entries.answers[n], "gpt-4o", "openai", None, usage, now, now + _LIVES_S)
        signature = signature_of(f"How do I change the billing address of account {n}?")
        await self.store.store(
            entries.scopes[n], entries.question(n), entries.vectors[n].tolist(), signature,
            answer=f"{n:032x}", new=answer, judged=True, tags=(), expires_at=answer.expires_at,
        )  # fmt: skip

    async def ping(self, _: int) -> object:
        return await self._redis.ping()

    async def search(self, n: int) -> object:
        """The `K` nearest in scope, without what is known of them."""
        scope = self._entries.scopes[n]
        vector = as_bytes(self._entries.queries[n].tolist())
        found = await self._index.nearest(bucket_of(scope), scope, vector, DIMENSION, K)
        assert found
        return found

    async def nearest(self, n: int) -> object:
        return await self.store.nearest(self._entries.scopes[n], self._entries.queries[n].tolist(), K)

    async def look_up(self, n: int) -> object:
        """As a hit of the semantic tier: the nearest, then the answer of the first."""
        scope = self._entries.scopes[n]
        first, *_ = await self.store.nearest(scope, self._entries.queries[n].tolist(), K)
        answer = await self.store.answer(scope, first.answer)
        assert answer is not None
        return answer

    async def exact(self, n: int) -> object:
        found = await self.store.exact(self._entries.scopes[n], self._entries.question(n), lease_s=0)
        assert found.answer is not None
        return found

    async def close(self) -> None:
        await self.store.close()
        await self._redis.aclose()


class Theirs:
    """LiteLLM's redis-semantic cache and the RedisVL `SemanticCache` inside it: one index, so loaded once."""

    def __init__(self, url: str, entries: Entries) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        from litellm.caching.redis_semantic_cache import RedisSemanticCache

        class Cache(RedisSemanticCache):  # type: ignore[misc]  # LiteLLM's types are not followed
            """Embedding is no part of what is timed: the vector is there."""

            vector: list[float]

            def _get_embedding(self, prompt: str, metadata: Any = None) -> list[float]:
                return [1.0] + [0.0] * (DIMENSION - 1)

            async def _get_async_embedding(self, prompt: str, metadata: Any = None) -> list[float]:
                return self.vector

        self._entries = entries
        self._cache = Cache(redis_url=url, similarity_threshold=0.9, index_name="theirs")
        self._inner: Any = self._cache.llmcache

    async def load(self, progress: Progress) -> None:
        await _each(range(len(self._entries)), self._put, progress, "RedisVL, LiteLLM")

    async def _put(self, n: int) -> None:
        entries = self._entries
        response = json.dumps({"choices": [{"message": {"content": entries.answers[n]}}]})
        filters = {self._cache.CACHE_KEY_FIELD_NAME: entries.scopes[n]}
        await self._inner.astore(f"question {n}", response, vector=entries.vectors[n].tolist(), filters=filters)

    async def redisvl(self, n: int) -> object:
        """`SemanticCache.acheck` with the scope as a filter."""
        scope = Tag(self._cache.CACHE_KEY_FIELD_NAME) == self._entries.scopes[n]
        found = await self._inner.acheck(vector=self._entries.queries[n].tolist(), filter_expression=scope)
        assert found
        return found

    async def litellm(self, n: int) -> object:
        self._cache.vector = self._entries.queries[n].tolist()
        messages = [{"role": "user", "content": f"question {n}"}]
        found = await self._cache.async_get_cache(self._entries.scopes[n], messages=messages)
        assert found
        return found

    async def close(self) -> None:
        await self._inner.adisconnect()


async def _each(places: Sequence[int], put: Callable[[int], Awaitable[None]], progress: Progress, what: str) -> None:
    task = progress.add_task(f"storing {len(places):,}: {what}", total=len(places))
    for start in range(0, len(places), _AT_ONCE):
        part = places[start : start + _AT_ONCE]
        await asyncio.gather(*(put(n) for n in part))
        progress.advance(task, len(part))
    progress.remove_task(task)


async def timed(looks: dict[str, Look], places: Sequence[int], seed: int) -> dict[str, list[float]]:
    """Milliseconds of each look at each place; all looks of a place stand together, in random order."""
    rng, took = random.Random(seed), {name: list[float]() for name in looks}
    for n in places:
        for name in rng.sample(list(looks), len(looks)):
            start = time.perf_counter()
            await looks[name](n)
            took[name].append((time.perf_counter() - start) * 1e3)
    return took


def _unit(rows: np.ndarray) -> np.ndarray:
    norms: np.ndarray = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / norms
    return unit


def _texts(count: int, rng: random.Random) -> list[str]:
    """Answers as prose has them: common words often, rare ones seldom."""
    letters = "etaoinshrdlcumwfgypbvk"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(_VOCABULARY)]
    reached = list(accumulate(1 / (n + 1) for n in range(_VOCABULARY)))
    words_enough = ANSWER_BYTES // 2
    return [" ".join(rng.choices(words, cum_weights=reached, k=words_enough))[:ANSWER_BYTES] for _ in range(count)]
