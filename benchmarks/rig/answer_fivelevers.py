"""The product on a stream: production decisions, calibration and store; only provider and judge are played.

The first half is shadow: every question is looked up, stored and, where a candidate is likely enough, judged; nothing
is served. Calibration chooses the rule from what was stored. The second half is served under it: a hit stores nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import TypeVar

from benchmarks.rig.answer_stream import Judge, Question
from benchmarks.rig.answer_tally import Tally
from fivelevers.answer import StoredAnswer
from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.bound import Rolling
from fivelevers.levers.semantic_cache.calibrate import Entry, Promise, calibrate
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds
from fivelevers.levers.semantic_cache.judging import Said
from fivelevers.levers.semantic_cache.serve import NEIGHBOURS, Decision, Rule, Settings, decide
from fivelevers.levers.semantic_cache.verify import Budget, Change, Spent, after_audit, after_miss, to_compare
from fivelevers.prices import Usage
from fivelevers.stores.answers import Answers

_KEPT_S = 86_400.0


_T = TypeVar("_T")


async def _patiently(call: Callable[[], Awaitable[_T]]) -> _T:
    """Quality is measured here, not speed: a machine that is busy with something else shall not end it."""
    for _ in range(10):
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(1.5)  # until the breaker closes
    return await call()


class Fivelevers:
    def __init__(self, memory: Answers, scope: str, judge: Judge, promise: Promise, *, seed: int) -> None:
        self.tally, self.shadow = Tally(), Tally()
        self.calibration: Calibration | None = None
        self.retreated = False
        self._memory, self._scope, self._judge = memory, scope, judge
        self._promise, self._draws = promise, Random(seed)
        self._settings, self._rule = Settings(), Rule()
        self._said: dict[str, str] = {}  # what each stored answer says
        self._entries: list[Entry] = []
        self._audits = Rolling()

    async def run(self, stream: Sequence[Question], told: Callable[[int], None]) -> None:
        half = len(stream) // 2
        for question in stream[:half]:
            await self._look(question)
            told(1)
        holds = Holds("minilm", ("played",), ("stream",))
        self.calibration = calibrate(self._entries, self._settings, self._promise, holds)
        self._rule = self.calibration.rule
        for question in stream[half:]:
            await (self._ask if self.calibration.serves and not self.retreated else self._pass)(question)
            told(1)
        await self._memory.close()

    async def _look(self, question: Question) -> None:
        """In shadow."""
        decision = await self._decide(question)
        compared = decision.candidates
        verdict = self._judge.verdict(question.answer, self._says(compared)) if compared else None
        answer = await self._write(question, after_miss(verdict, compared))
        entry = Entry(self._scope, question.id, answer, question.vector, question.signature, known=True, at=time.time())
        self._entries.append(entry)
        self.shadow.add(hit=False, judged=bool(compared), compared=len(compared))

    async def _ask(self, question: Question) -> None:
        decision, tally = await self._decide(question), self.tally
        budget = Budget(max_share=self._promise.judged_share, audited=self._promise.audit_share)
        spent = Spent(tally.requests + 1, tally.judged)
        compared = to_compare(decision, budget, spent, draw=self._draws.random())
        wrong = decision.served and decision.answer is not None and self._said[decision.answer] != question.answer
        tally.add(hit=decision.served, wrong=wrong, judged=bool(compared), compared=len(compared))
        verdict = self._judge.verdict(question.answer, self._says(compared)) if compared else None
        if not decision.served:
            await self._write(question, after_miss(verdict, compared))
        elif verdict is not None:
            found_wrong = verdict.said is Said.DIFFERENT
            self._audits = Rolling(self._audits.audited + 1, self._audits.wrong + found_wrong)
            self.retreated = self._audits.breached(self._promise.max_wrong)
            await self._write(question, after_audit(decision, verdict))

    async def _pass(self, _: Question) -> None:
        """Nothing is served: not calibrated, or retreated."""
        self.tally.add(hit=False)

    async def _decide(self, question: Question) -> Decision:
        near = await _patiently(lambda: self._memory.nearest(self._scope, question.vector, NEIGHBOURS))
        return decide(question.signature, near, self._settings, self._rule)

    async def _write(self, question: Question, change: Change) -> str:
        """The id of the answer that the question points to now."""
        if change.forget is not None:
            await self._memory.forget_question(self._scope, change.forget)
        answer = change.alias_of or question.id
        if change.alias_of is not None or change.new:
            now = time.time()
            new = (
                StoredAnswer(question.answer, "m", "played", None, Usage(), now, now + _KEPT_S) if change.new else None
            )
            self._said.setdefault(answer, question.answer)
            put = partial(
                self._memory.store, self._scope, question.id, question.vector, question.signature, answer=answer,
                new=new, judged=True, tags=(), expires_at=now + _KEPT_S,
            )  # fmt: skip
            await _patiently(put)
        return answer

    def _says(self, answers: Sequence[str]) -> list[str]:
        return [self._said[answer] for answer in answers]
