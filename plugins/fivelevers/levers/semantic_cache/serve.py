"""Whether a stored answer is served: the policy's hard settings, and above them one score with one threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fivelevers.levers.semantic_cache.guards import Guard, refusals
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.prior import PRIOR, PRIOR_SERVE_AT
from fivelevers.levers.semantic_cache.score import Standing, Weights, features_of, probability, standings
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.policy import SemanticCacheSwitch

NEIGHBOURS: Final = 16
"""How many are looked up: fewer hide supporters and rivals from the score, which was fitted on this many."""

WEIGHED: Final = 3  # answers that are scored, by similarity


@dataclass(frozen=True, slots=True)
class Settings:
    """What the policy demands of every hit, whatever the score says."""

    min_similarity: float
    min_margin: float
    min_support: int
    guards: frozenset[Guard]

    @classmethod
    def of(cls, switch: SemanticCacheSwitch) -> Settings:
        guards = frozenset(Guard(name) for name in switch.guards)
        return cls(switch.min_similarity, switch.min_margin, switch.min_support, guards)


@dataclass(frozen=True, slots=True)
class Rule:
    """What calibration found: the weights, the score from which on an answer is served, and from which on one that is
    not served is worth a judgement, both in 0..1. The default is where a route starts, and no promise."""

    weights: Weights = PRIOR
    serve_at: float = PRIOR_SERVE_AT
    judge_at: float = 0.05


class Reason(StrEnum):
    SERVED = "served"
    EMPTY = "empty"
    SIMILARITY = "similarity"
    MARGIN = "margin"
    SUPPORT = "support"
    GUARD = "guard"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Decision:
    """The best candidate and what became of it. ``question`` is the nearest question that points to ``answer``.

    ``candidates``: the answers that a fresh one is worth comparing with, likeliest first. ``refused_by``: the guards
    that tell the two questions apart, of those that are on.
    """

    served: bool
    reason: Reason
    answer: str | None = None
    question: str | None = None
    similarity: float = 0.0
    margin: float = 0.0
    support: int = 0
    score: float = 0.0
    refused_by: tuple[Guard, ...] = ()
    candidates: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason in a word; of a guard its name."""
        return self.refused_by[0].value if self.reason is Reason.GUARD else self.reason.value


NOTHING: Final = Decision(False, Reason.EMPTY)


def decide(asked: Signature, neighbours: Sequence[Neighbour], settings: Settings, rule: Rule) -> Decision:
    """``neighbours``: those of one scope, nearest first."""
    if not neighbours:
        return NOTHING
    weighed = [
        (probability(features_of(asked, standing, neighbours), rule.weights), standing)
        for standing in standings(neighbours)[:WEIGHED]
    ]
    weighed.sort(key=lambda pair: -pair[0])
    score, best = weighed[0]
    refused_by = refusals(asked, best.questions[0].signature, settings.guards)
    reason = _reason(score, best, refused_by, settings, rule)
    return Decision(
        served=reason is Reason.SERVED,
        reason=reason,
        answer=best.answer,
        question=best.questions[0].question,
        similarity=best.similarity,
        margin=best.margin,
        support=best.support,
        score=score,
        refused_by=refused_by,
        candidates=tuple(standing.answer for score, standing in weighed if score >= rule.judge_at),
    )


def _reason(score: float, best: Standing, refused_by: tuple[Guard, ...], settings: Settings, rule: Rule) -> Reason:
    if best.similarity < settings.min_similarity:
        return Reason.SIMILARITY
    if best.margin < settings.min_margin:
        return Reason.MARGIN
    if best.support < settings.min_support:
        return Reason.SUPPORT
    if refused_by:
        return Reason.GUARD
    return Reason.SERVED if score >= rule.serve_at else Reason.SCORE
