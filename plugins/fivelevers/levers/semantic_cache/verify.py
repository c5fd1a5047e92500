"""What is worth a judgement, and what a verdict changes in the store.

A judge compares the fresh answer with the stored answers of the likeliest candidates, in one call. On a miss its
verdict makes the question an alias, or a new answer; on an audited hit it confirms the alias or deletes it. A judge
that fails confirms nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fivelevers.levers.semantic_cache.judging import Said, Verdict
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


@dataclass(frozen=True, slots=True)
class Change:
    """What to write. The question points to ``alias_of``, or, where that is None, to the fresh answer as a new one;
    ``forget`` is a question that pointed to an answer that is not its own."""

    alias_of: str | None = None
    new: bool = False
    forget: str | None = None


NO_CHANGE: Final = Change()


def after_miss(verdict: Verdict | None, compared: Sequence[str]) -> Change:
    """``compared``: what ``to_compare`` gave; ``verdict`` None: nobody judged."""
    if verdict is not None and verdict.said is Said.SAME and verdict.same is not None:
        return Change(alias_of=compared[verdict.same])
    return Change(new=True)


def after_audit(decision: Decision, verdict: Verdict) -> Change:
    """Of a hit. The fresh answer was made for this very question, so a refuted hit leaves it stored as its own."""
    if verdict.said is Said.SAME:
        return Change(alias_of=decision.answer)
    if verdict.said is Said.DIFFERENT:
        return Change(new=True, forget=decision.question)
    return NO_CHANGE
