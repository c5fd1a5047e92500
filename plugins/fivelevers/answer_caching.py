"""Lever 2 on one request: what the store knows of it, whether that may be served, and what a fresh answer teaches.

The one place where the decision meets its memory. No proxy's shape is known here; time is an argument.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from fivelevers.answer import StoredAnswer
from fivelevers.engine import WithoutUs
from fivelevers.errors import EmbedderError, FiveLeversError, StoreError
from fivelevers.levers.semantic_cache.calibration import Calibration
from fivelevers.levers.semantic_cache.judging import UNKNOWN, JudgedBy, Said, Verdict
from fivelevers.levers.semantic_cache.memory import AnswerMemory, Embedder, Exact, Vector
from fivelevers.levers.semantic_cache.serve import NEIGHBOURS, Decision, Rule, Settings, decide
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.levers.semantic_cache.verify import Budget, Spent
from fivelevers.metering.attribution import Basis
from fivelevers.policy import SemanticCacheSwitch
from fivelevers.prices import Usage

LONGEST_BYTES = 750  # of a question: what stands behind an embedder's 256 tokens it does not see, and it may differ
WARM_S = 300.0  # for how long a provider keeps a prefix at the least: asked again within it, it had been read
# A score from which a judge who does not agree is heard twice. Of a judge that errs once in 70 times, each such error
# splits an answer in two, and they part the questions to come between them.
EXPECTED_FROM = 0.9
LEASE_S = 60.0  # for the one who asks the provider: a request that takes longer is asked again by those who wait


class Result(StrEnum):
    HIT = "hit"
    AUDIT = "audit"  # a hit that is answered afresh, to be compared
    MISS = "miss"


class Tier(StrEnum):
    EXACT = "exact"
    SEMANTIC = "semantic"


class Judging(Protocol):
    async def compare(
        self, question: str, fresh: str, stored: Sequence[str], *, expects_first: bool = False
    ) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that may be answered from the store. ``serving``: what is found may be given to the client.

    ``calibration`` None: nothing semantic is served, whatever is found. ``draw`` in [0, 1) picks the audits.
    ``afresh``: the client wants no stored answer, and what it gets takes the place of what there is.
    """

    scope: str
    question: str
    text: str
    signature: Signature
    settings: SemanticCacheSwitch
    serving: bool
    calibration: Calibration | None
    draw: float
    max_age_s: float | None = None
    afresh: bool = False

    @property
    def deadline_s(self) -> float:
        return self.settings.deadline_ms / 1000


@dataclass(frozen=True, slots=True)
class Found:
    """What the store knows, and ``why`` in a word. ``answer`` is what is served, or would be in shadow mode.

    ``leads``: others wait for the answer to this request. ``error``: the store or the embedder did not do its part.
    """

    result: Result
    why: str
    tier: Tier | None = None
    answer_id: str | None = None
    answer: StoredAnswer | None = None
    leads: bool = False
    vector: Vector | None = None
    decision: Decision | None = None
    error: FiveLeversError | None = None


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of a fresh answer. ``said``: whether it says the same as the answer that was, or would have been,
    served (of a miss: as any of those that were near); None where nobody knows.
    """

    said: Said | None
    judged_by: JudgedBy | None


async def look_up(asked: Asked, memory: AnswerMemory, embedder: Embedder | None, *, now: float) -> Found:
    """Never raises for store or embedder: what does not answer within the route's deadline is a miss."""
    try:
        async with asyncio.timeout(asked.deadline_s):
            exact = await memory.exact(asked.scope, asked.question, lease_s=LEASE_S if asked.serving else 0)
        if asked.serving and exact.taken and asked.settings.wait_s:
            exact = await memory.wait(asked.scope, asked.question, within_s=asked.settings.wait_s)
    except (StoreError, TimeoutError) as error:
        return Found(Result.MISS, "redis", error=_named(error))
    if exact.answer is not None and not asked.afresh:
        return _exact_hit(asked, exact, now)
    miss = Found(Result.MISS, "new", leads=exact.first)
    if embedder is None or asked.settings.tier == "exact":
        return miss
    if len(asked.text.encode("utf-8", "replace")) > LONGEST_BYTES:
        return replace(miss, why="long")
    try:
        async with asyncio.timeout(asked.deadline_s):
            return await _semantic(asked, miss, memory, embedder, now=now)
    except (EmbedderError, StoreError, TimeoutError) as error:
        return replace(miss, why=_why(error), error=_named(error))


def _why(error: Exception) -> str:
    return "embedder" if isinstance(error, EmbedderError) else "redis" if isinstance(error, StoreError) else "deadline"


def _named(error: Exception) -> FiveLeversError:
    return error if isinstance(error, FiveLeversError) else StoreError("look-up: took longer than deadline_ms")


def _exact_hit(asked: Asked, exact: Exact, now: float) -> Found:
    """An answer that a judge found to fit another wording is a semantic one, word for word or not."""
    tier = Tier.EXACT if exact.own else Tier.SEMANTIC
    found = Found(Result.HIT, "same", tier, exact.id, exact.answer)
    if not exact.own and asked.calibration is None:
        return replace(found, result=Result.MISS, why="uncalibrated")
    return _aged(asked, found, now)


async def _semantic(asked: Asked, miss: Found, memory: AnswerMemory, embedder: Embedder, *, now: float) -> Found:
    (vector,) = await embedder.embed([asked.text])
    neighbours = await memory.nearest(asked.scope, vector, NEIGHBOURS)
    rule = asked.calibration.rule if asked.calibration is not None else Rule()
    decision = decide(asked.signature, neighbours, Settings.of(asked.settings), rule)
    found = replace(miss, vector=vector, decision=decision, why=decision.why)
    if not decision.served or decision.answer is None:
        return found
    answer = await memory.answer(asked.scope, decision.answer)
    if answer is None:  # it expired between two steps
        return replace(found, why="expired")
    found = replace(found, tier=Tier.SEMANTIC, answer_id=decision.answer, answer=answer)
    if asked.serving and asked.calibration is None:
        return replace(found, why="uncalibrated")
    if asked.calibration is not None and not asked.calibration.holds.for_model(answer.model):
        return replace(found, why="model")
    return _aged(asked, found, now)


def _aged(asked: Asked, found: Found, now: float) -> Found:
    """A hit, unless the client wants a younger answer; of semantic ones some are audits."""
    if found.answer is not None and asked.max_age_s is not None and now - found.answer.created_at > asked.max_age_s:
        return replace(found, result=Result.MISS, why="too-old")
    audited = found.decision is not None and asked.draw < asked.settings.audit_share
    return replace(found, result=Result.AUDIT) if audited else replace(found, result=Result.HIT)


def worth_judging(found: Found) -> tuple[str, ...]:
    """The answers that a fresh one is worth comparing with. A hit in shadow mode is compared like an audit."""
    if found.decision is None or found.vector is None:
        return ()
    if found.tier is Tier.SEMANTIC and found.answer_id is not None:
        return tuple(dict.fromkeys((found.answer_id, *found.decision.candidates)))
    return found.decision.candidates


def may_judge(asked: Asked, found: Found, spent: Spent) -> tuple[tuple[str, ...], Spent]:
    """What a fresh answer is compared with, within the policy's share of look-ups, and what is spent then.

    In shadow mode everything worth it is judged: that is what a route is calibrated with, and it counts for nothing, or
    audits had to wait until as many look-ups had come again.
    """
    candidates, settings = worth_judging(found), asked.settings
    if not asked.serving:
        return candidates, spent
    budget = Budget(settings.judge.share, settings.audit_share)
    allowed = bool(candidates) and budget.allows(spent, audit=found.result is Result.AUDIT)
    return (candidates if allowed else ()), spent.after(judged=allowed)


def cost_of_hit(answer: StoredAnswer, *, now: float) -> tuple[WithoutUs, ...]:
    """What a hit had cost: the stored answer's own tokens, its prefix read where it is warm yet."""
    usage = answer.usage
    if now - answer.created_at < WARM_S:
        written = usage.cache_write_5m + usage.cache_write_1h
        usage = Usage(input=usage.input, cache_read=usage.cache_read + written, output=usage.output)
    alone = WithoutUs("semantic_cache", usage, Basis.ESTIMATED)
    return (alone,) if answer.plain is None else (WithoutUs("prompt_cache", answer.plain, Basis.ESTIMATED), alone)


async def learn(
    asked: Asked,
    found: Found,
    fresh: StoredAnswer,
    memory: AnswerMemory,
    judges: Judging,
    *,
    compare: Sequence[str],
    new_id: str,
) -> Learnt:
    """Compare a fresh answer with stored ones, and remember its question.

    It becomes an alias of an answer that a judge found to say the same; otherwise the fresh answer is stored as one of
    its own. Who asks the very same again is given the very same, alias or not. An audit that finds a hit wrong deletes
    the question that led to it. Raises StoreError.
    """
    stored = [(one, answer) for one in compare if (answer := await memory.answer(asked.scope, one)) is not None]
    ids, texts = [one for one, _ in stored], [answer.text for _, answer in stored]
    sure = found.decision is not None and found.decision.score >= EXPECTED_FROM
    expected = sure and ids[:1] == list(worth_judging(found)[:1])
    verdict = await judges.compare(asked.text, fresh.text, texts, expects_first=expected) if stored else UNKNOWN
    said = _said(found, verdict, ids)
    if found.result is Result.AUDIT and said is Said.DIFFERENT and found.decision is not None:
        await memory.forget_question(asked.scope, found.decision.question or "")
    if asked.afresh:
        await memory.forget_question(asked.scope, asked.question)
    same_as = None if verdict.same is None else ids[verdict.same]
    # What surely is near an answer, and nobody can say whether it is another one, would only stand in that one's way.
    contested = sure and verdict.said is None and not asked.afresh
    await memory.store(
        asked.scope,
        asked.question,
        None if contested else found.vector,
        asked.signature,
        answer=same_as or new_id,
        new=None if same_as else fresh,
        judged=verdict.said is not None or not worth_judging(found),
        tags=fresh.tags,
        expires_at=fresh.expires_at,
        given=(new_id, fresh) if same_as else None,
    )
    return Learnt(said, verdict.by)


def _said(found: Found, verdict: Verdict, ids: Sequence[str]) -> Said | None:
    """Of a hit: whether it was right. Another stored answer that says the same does not make it so."""
    if verdict.said is not Said.SAME or verdict.same is None or found.answer_id is None:
        return verdict.said
    return Said.SAME if ids[verdict.same] == found.answer_id else Said.DIFFERENT
