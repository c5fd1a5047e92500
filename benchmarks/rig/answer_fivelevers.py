"""The product on a stream: its look-up, learning, calibration and store. Provider, embedder and judge are played.

The first half goes by in shadow mode: every question is looked up, stored and, where a candidate is likely enough,
judged. Calibration chooses the rule from what the store holds then. The second half is served under it. An audit is a
hit that the client does not get: it counts as none, and as a judgement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

from benchmarks.rig.answer_stream import Judge, Question
from benchmarks.rig.answer_tally import Tally
from fivelevers.answer import StoredAnswer
from fivelevers.answer_caching import Asked, Found, Learnt, Result, learn, look_up, may_judge
from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.bound import Rolling
from fivelevers.levers.semantic_cache.calibrate import Promise, calibrate
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds
from fivelevers.levers.semantic_cache.judging import Said
from fivelevers.levers.semantic_cache.memory import Vector
from fivelevers.levers.semantic_cache.serve import Settings
from fivelevers.levers.semantic_cache.verify import Spent
from fivelevers.policy import SemanticCacheSwitch
from fivelevers.prices import Usage
from fivelevers.stores.answer_entries import entries
from fivelevers.stores.answers import Answers

_KEPT_S = 86_400.0
_T = TypeVar("_T")


class Played:
    """Vectors that were made before, by the product's own embedder."""

    version = "played"

    def __init__(self, stream: Sequence[Question]) -> None:
        self._vectors = {question.id: question.vector for question in stream}
        self.dimension = len(stream[0].vector)

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Vector]:
        return [self._vectors[text] for text in texts]


class Fivelevers:
    """``switch``: the route's policy, of which ``max_wrong`` is the promise."""

    def __init__(self, url: str, scope: str, judge: Judge, switch: SemanticCacheSwitch, *, seed: int) -> None:
        self.tally, self.shadow = Tally(), Tally()
        self.calibration: Calibration | None = None
        self.retreated = False
        # Quality is measured here, not speed: a machine that is busy with something else shall not make misses.
        self._switch = switch.model_copy(update={"deadline_ms": 1000.0})
        self._url, self._memory, self._scope, self._judge = url, Answers(url), scope, judge
        self._draws, self._spent, self._audits = Random(seed), Spent(), Rolling()

    async def run(self, stream: Sequence[Question], told: Callable[[int], None]) -> None:
        half, embedder = len(stream) // 2, Played(stream)
        for question in stream[:half]:
            await self._take(question, embedder, self.shadow)
            told(1)
        self.calibration = await asyncio.to_thread(self._calibrated, embedder.dimension)
        self._spent = Spent()
        for question in stream[half:]:
            if self.calibration.serves and not self.retreated:
                await self._take(question, embedder, self.tally)
            else:
                self.tally.add(hit=False)
            told(1)
        await self._memory.close()

    def _calibrated(self, dimension: int) -> Calibration:
        switch = self._switch
        promise = Promise(switch.max_wrong, switch.judge.share, switch.audit_share)
        stored = entries(self._url, self._scope, dimension)
        return calibrate(stored, Settings.of(switch), promise, Holds("played", (), ()))

    async def _take(self, question: Question, embedder: Played, tally: Tally) -> None:
        asked = self._asked(question)
        found = await self._looked_up(asked, embedder)
        if asked.serving and found.result is Result.HIT and found.answer is not None:
            await _patiently(lambda: self._memory.release(self._scope, question.id))
            tally.add(hit=True, wrong=found.answer.text != question.answer)
            self._spent = self._spent.after(judged=False)
            return
        compare, self._spent = may_judge(asked, found, self._spent)
        tally.add(hit=False, judged=bool(compare), compared=len(compare))
        learnt = await _patiently(lambda: self._learnt(asked, found, question, compare))
        if asked.serving and found.result is Result.AUDIT and learnt.said is not None:
            self._audits = Rolling(self._audits.audited + 1, self._audits.wrong + (learnt.said is Said.DIFFERENT))
            self.retreated = self._audits.breached(self._switch.max_wrong)

    def _asked(self, question: Question) -> Asked:
        return Asked(
            scope=self._scope,
            question=question.id,
            text=question.id,
            signature=question.signature,
            settings=self._switch,
            serving=self.calibration is not None,
            calibration=self.calibration,
            draw=self._draws.random(),
        )

    async def _looked_up(self, asked: Asked, embedder: Played) -> Found:
        async def once() -> Found:
            found = await look_up(asked, self._memory, embedder, now=time.time())
            if found.error is not None:
                raise found.error
            return found

        return await _patiently(once)

    async def _learnt(self, asked: Asked, found: Found, question: Question, compare: Sequence[str]) -> Learnt:
        now = time.time()
        fresh = StoredAnswer(question.answer, "m", "played", None, Usage(), now, now + _KEPT_S, (self._scope,))
        return await learn(asked, found, fresh, self._memory, self._judge, compare=compare, new_id=question.id)


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    for _ in range(10):
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(1.5)  # until the breaker closes
    return await call()
