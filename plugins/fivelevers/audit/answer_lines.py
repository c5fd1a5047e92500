"""What an audit says of one route and model about lever 2: which of its calls asked what had been answered."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from math import sqrt
from statistics import NormalDist

from fivelevers.policy.levers import SemanticCacheSwitch

ZERO = Decimal(0)
AUDITED = Decimal(str(SemanticCacheSwitch.model_fields["audit_share"].default))
"""Of the similar hits, those that are answered afresh and compared, unless the policy says otherwise."""

NEAR = tuple(round(0.80 + at / 100, 2) for at in range(20))
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Charge:
    """USD of one call, output included: as it was paid, and with its input as lever 1 had marked it."""

    paid: Decimal = ZERO
    marked: Decimal = ZERO


NO_CHARGE = Charge()


class Taken(StrEnum):
    """Whether lever 2 had answered a call; what is similar is not known before the last one."""

    NO = "no"
    PERHAPS = "perhaps"
    SURELY = "surely"


@dataclass(slots=True)
class Sum:
    """Calls that had not been sent, and what they cost."""

    calls: int = 0
    paid: Decimal = ZERO
    marked: Decimal = ZERO

    def add(self, charge: Charge) -> None:
        self.calls += 1
        self.paid += charge.paid
        self.marked += charge.marked

    def usd(self, *, after_lever_1: bool) -> Decimal:
        return self.marked if after_lever_1 else self.paid


@dataclass(slots=True)
class AnswerLine:
    """One route and model.

    ``unknown``: calls of which the log does not tell what they asked; ``may_be``: those that lever 2 may answer.
    ``answered`` and ``at_once`` are the same as an earlier call: of both, ``sampled`` had a temperature above 0 or
    none, and of ``blind`` ones the log does not tell whether they may be answered. ``too_slow``: the same as one on its
    way for longer than anybody waits. ``sure``: the duplicates at temperature 0; ``likely``: the others.
    ``together``: calls that were sent while the same one was on its way, however long that took, of so many tokens.
    ``cooled``: USD that the other calls cost more after lever 1, since the sure ones renew no entry of a prompt cache.

    ``asked``: questions that were no duplicates, of ``question_chars`` together; ``looked_at``: how many of them were
    looked up, ``alone`` of them with a system prompt, tools, parameters or history that no other question has;
    ``similar``: those that had been given a similar one's answer. Of these the log has both answers of ``compared``;
    in ``agreed`` they are the same but for their looks. ``nearest``: questions whose nearest earlier one was as
    similar as the step of ``NEAR``.
    """

    route: str
    model: str
    calls: int = 0
    unknown: int = 0
    may_be: int = 0
    answered: int = 0
    at_once: int = 0
    too_slow: int = 0
    sampled: int = 0
    blind: int = 0
    sure: Sum = field(default_factory=Sum)
    likely: Sum = field(default_factory=Sum)
    together: Sum = field(default_factory=Sum)
    together_tokens: int = 0
    cooled: Decimal = ZERO
    asked: int = 0
    question_chars: int = 0
    looked_at: int = 0
    alone: int = 0
    similar: Sum = field(default_factory=Sum)
    compared: int = 0
    agreed: int = 0
    nearest: list[int] = field(default_factory=lambda: [0] * len(NEAR))

    def near(self, similarity: float) -> None:
        """Count a question by the similarity of its nearest earlier one."""
        at = bisect_right(NEAR, similarity) - 1
        if at >= 0:
            self.nearest[at] += 1

    def curve(self) -> list[tuple[float, float, float, float]]:
        """(similarity, share of the questions that had one so similar before them, and its 95 % interval)."""
        sums = list(accumulate(reversed(self.nearest)))[::-1]
        shares = ((at, hits) for at, hits in zip(NEAR, sums, strict=True) if self.looked_at)
        return [(at, hits / self.looked_at, *wilson(hits, self.looked_at)) for at, hits in shares]

    @property
    def duplicates(self) -> int:
        return self.answered + self.at_once

    def saving(self, *, after_lever_1: bool, missed: Decimal = ZERO) -> tuple[Decimal, Decimal] | None:
        """USD over the log, (low, high); None where the log does not tell. ``missed``: what a replay of lever 1 misses.

        Low: the duplicates at temperature 0. High: every duplicate, and similar questions as often among all as among
        those that were looked at, but for those that are audited. After lever 1, at one end it stays as warm as it
        was, at the other it cools.
        """
        if not self.may_be:
            return None
        low, likely, similar = (
            part.usd(after_lever_1=after_lever_1) for part in (self.sure, self.likely, self.similar)
        )
        scale = Decimal(self.asked) / self.looked_at if self.looked_at else ZERO
        cooled = low - self.cooled if after_lever_1 else low
        missed = missed if self.sure.calls and after_lever_1 else ZERO
        return min(low, cooled) - missed, max(low, cooled) + missed + likely + similar * scale * (1 - AUDITED)

    @property
    def rate(self) -> tuple[float, float, float] | None:
        """Of the questions that were looked at, the share that a similar one had answered, and its 95 % interval."""
        if not self.looked_at:
            return None
        return self.similar.calls / self.looked_at, *wilson(self.similar.calls, self.looked_at)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), as if one question told nothing of the next. ``of`` above 0."""
    share, z2 = hits / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def total(lines: Iterable[AnswerLine], name: str) -> int:
    """Sum of one of the counts."""
    return sum(getattr(line, name) for line in lines)
