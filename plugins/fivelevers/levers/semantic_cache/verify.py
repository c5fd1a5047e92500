"""What is worth a judgement, and what a verdict changes in the store.

A judge compares the fresh answer with the stored answers of the likeliest candidates, in one call. On a miss its
verdict makes the question an alias, or a new answer; on an audited hit it confirms the alias or deletes it. A judge
that fails confirms nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fivelevers.levers.semantic_cache.serve import Decision

MAX_SHARE: Final = 0.45
AUDITED: Final = 0.08


@dataclass(frozen=True, slots=True)
class Spent:
    """Over one route and period: requests looked up, judge calls made for them (audits too), USD those calls cost."""

    requests: int = 0
    judged: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """``max_share``: of requests that may be judged, audits included; ``max_usd`` None: no limit but the share."""

    max_share: float = MAX_SHARE
    max_usd: float | None = None
    audited: float = AUDITED

    def allows(self, spent: Spent, *, audit: bool) -> bool:
        """Whether one more call may be made. Audits come first: misses leave them their part of the share."""
        kept = 0.0 if audit else self.audited * self.max_share
        within = spent.judged + 1 <= (self.max_share - kept) * max(spent.requests, 1)
        return within and (self.max_usd is None or spent.cost_usd < self.max_usd)


def to_compare(decision: Decision, budget: Budget, spent: Spent, *, draw: float) -> tuple[str, ...]:
    """The answers that the fresh one shall be compared with: none where it is not worth a call.

    A miss is judged where a candidate is likely enough, a hit by ``draw``, uniform in [0, 1), which must not depend on
    anything that the decision depends on.
    """
    if decision.served:
        audited = decision.answer is not None and draw < budget.audited and budget.allows(spent, audit=True)
        return (decision.answer,) if audited and decision.answer is not None else ()
    return decision.candidates if budget.allows(spent, audit=False) else ()


class Verdict(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """``answer``: the stored one that says the same as the fresh one, where the verdict is SAME."""

    verdict: Verdict
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What to write. The question points to ``alias_of``, or, where that is None, to the fresh answer as a new one;
    ``forget`` is a question that pointed to an answer that is not its own."""

    alias_of: str | None = None
    new: bool = False
    forget: str | None = None


NO_CHANGE: Final = Change()


def after_miss(judgement: Judgement | None) -> Change:
    """``judgement`` None: nobody judged."""
    if judgement is not None and judgement.verdict is Verdict.SAME:
        return Change(alias_of=judgement.answer)
    return Change(new=True)


def after_audit(decision: Decision, judgement: Judgement) -> Change:
    """Of a hit. The fresh answer was made for this very question, so a refuted hit leaves it stored as its own."""
    if judgement.verdict is Verdict.SAME:
        return Change(alias_of=judgement.answer)
    if judgement.verdict is Verdict.DIFFERENT:
        return Change(new=True, forget=decision.question)
    return NO_CHANGE


def verdict_on(fresh_is_same: Sequence[bool | None], candidates: Sequence[str]) -> Judgement:
    """From one comparison per candidate, likeliest first; None where the judge could not tell."""
    for same, answer in zip(fresh_is_same, candidates, strict=True):
        if same:
            return Judgement(Verdict.SAME, answer)
    known = [same for same in fresh_is_same if same is not None]
    return Judgement(Verdict.DIFFERENT if len(known) == len(candidates) else Verdict.FAILED)
