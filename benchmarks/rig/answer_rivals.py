"""Other rules on the same stream: they see the first half as history, the second is scored. A miss is stored.

``Static``: serve the nearest question's answer from a cosine on. ``Verified``: in the manner of vCache (Schroeder et
al. 2025, arXiv 2502.03771), written anew from the paper's idea: each entry learns from what is compared with it how
similar a question must be, and is tried until its risk is small enough; the bound is on wrong ones per request.
``RedisVl``: RedisVL's own SemanticCache, on Redis; LiteLLM's redis-semantic cache is the same class with LiteLLM's
distance and a tag for the rest of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp
from random import Random
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.rig.answer_stream import Judge, Question
from benchmarks.rig.answer_tally import Tally
from fivelevers.levers.semantic_cache.memory import Vector

Floats = NDArray[np.float64]

REDISVL_DISTANCE = 0.1  # its default
LITELLM_SIMILARITY = 0.8  # of its documentation's example; it has no default
_TAG = "litellm_cache_key"


class Rival(Protocol):
    """``ask`` says what became of a question: the answer served, None for a miss, and whether a judge was asked."""

    def ask(self, question: Question) -> tuple[str | None, bool]: ...


def scored(rival: Rival, stream: Sequence[Question], told: Callable[[int], None]) -> Tally:
    half, tally = len(stream) // 2, Tally()
    for number, question in enumerate(stream):
        served, judged = rival.ask(question)
        if number >= half:
            wrong = served is not None and served != question.answer
            tally.add(hit=served is not None, wrong=wrong, judged=judged, compared=judged)
        told(1)
    return tally


class _Stored:
    """Vectors and what they point to, searched by brute force."""

    def __init__(self, most: int, dimension: int) -> None:
        self._vectors: NDArray[np.float32] = np.zeros((most, dimension), dtype=np.float32)
        self.answers: list[str] = []

    def add(self, vector: Vector, answer: str) -> None:
        self._vectors[len(self.answers)] = vector
        self.answers.append(answer)

    def nearest(self, vector: Vector) -> tuple[int, float] | None:
        if not self.answers:
            return None
        near = self._vectors[: len(self.answers)] @ np.asarray(vector, dtype=np.float32)
        best = int(near.argmax())
        return best, float(near[best])


class Static:
    def __init__(self, min_similarity: float, most: int, dimension: int) -> None:
        self._least, self._stored = min_similarity, _Stored(most, dimension)

    def ask(self, question: Question) -> tuple[str | None, bool]:
        found = self._stored.nearest(question.vector)
        if found is not None and found[1] >= self._least:
            return self._stored.answers[found[0]], False
        self._stored.add(question.vector, question.answer)
        return None, False


_THRESHOLDS: Floats = np.linspace(0.3, 1.0, 71)
_SLOPES: Floats = np.array([5.0, 10.0, 20.0, 40.0, 80.0])
_DOUBTS: Floats = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
_SEEDS = ((0.0, False), (1.0, True))
_OBSERVED_AT_LEAST = 6


class _Entry:
    """P(right) = 1 / (1 + exp(-slope * (similarity - threshold))): a likelihood over a grid of both."""

    def __init__(self) -> None:
        self.observed = 0
        self._log: Floats = np.zeros((len(_THRESHOLDS), len(_SLOPES)))
        for similarity, right in _SEEDS:
            self.observe(similarity, right=right)

    def observe(self, similarity: float, *, right: bool) -> None:
        z = _SLOPES[None, :] * (similarity - _THRESHOLDS[:, None])
        self._log -= np.logaddexp(0, -z if right else z)
        self.observed += 1

    def right(self, similarity: float) -> float:
        """A lower bound on P(right): of each doubt e the chance 1 - e, at the threshold that is exceeded with e."""
        likelihood = np.exp(self._log - self._log.max())
        slope = float(_SLOPES[int(likelihood.max(axis=0).argmax())])
        beyond = 1 - np.cumsum(likelihood.sum(axis=1)) / likelihood.sum()
        bounds = []
        for doubt in _DOUBTS:
            threshold = float(_THRESHOLDS[int((beyond <= doubt).argmax())])
            bounds.append((1 - float(doubt)) / (1 + exp(-slope * (similarity - threshold))))
        return max(bounds)


class Verified:
    def __init__(self, max_wrong: float, judge: Judge, most: int, dimension: int, seed: int) -> None:
        self._max_wrong, self._judge, self._draws = max_wrong, judge, Random(seed)
        self._stored, self._entries = _Stored(most, dimension), list[_Entry]()

    def ask(self, question: Question) -> tuple[str | None, bool]:
        found = self._stored.nearest(question.vector)
        if found is None:
            self._insert(question)
            return None, False
        place, similarity = found
        entry, answer = self._entries[place], self._stored.answers[place]
        if entry.observed >= _OBSERVED_AT_LEAST and self._draws.random() > self._tried(entry.right(similarity)):
            return answer, False
        same = self._judge.same(question.answer, answer)
        entry.observe(similarity, right=same)
        if not same:
            self._insert(question)
        return None, True

    def _tried(self, right: float) -> float:
        """How often to ask the provider so that tried or right is likely enough together."""
        return 0.0 if right >= 1 - self._max_wrong else 1 - self._max_wrong / (1 - right)

    def _insert(self, question: Question) -> None:
        self._stored.add(question.vector, question.answer)
        self._entries.append(_Entry())


class RedisVl:
    """``tag``: of the rest of the request, as LiteLLM has it."""

    def __init__(self, url: str, name: str, distance: float, dimension: int, tag: str | None = None) -> None:
        from redisvl.extensions.cache.llm import SemanticCache
        from redisvl.query.filter import Tag
        from redisvl.utils.vectorize import CustomVectorizer

        fields = [] if tag is None else [{"name": _TAG, "type": "tag"}]
        self._filters = {} if tag is None else {"filters": {_TAG: tag}}
        self._only = None if tag is None else Tag(_TAG) == tag
        vectorizer = CustomVectorizer(lambda _: [0.0] * dimension)  # never asked: vectors are given
        self._cache: Any = SemanticCache(
            name=name, distance_threshold=distance, vectorizer=vectorizer, filterable_fields=fields, redis_url=url
        )

    def ask(self, question: Question) -> tuple[str | None, bool]:
        vector = list(question.vector)
        found = self._cache.check(vector=vector, filter_expression=self._only)
        if found:
            return str(found[0]["response"]), False
        self._cache.store(question.id, question.answer, vector=vector, **self._filters)
        return None, False
