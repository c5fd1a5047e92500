"""How likely a stored answer answers a question: one logistic score over all that the look-up shows.

Cosine alone can not tell a paraphrase from a look-alike: what can is how the neighbourhood is laid out. Does the answer
lead over every other one, do several of its questions agree, are the words the same, do numbers and polarity differ?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, log
from typing import Final

from fivelevers.levers.semantic_cache.guards import entities_differ, polarity_differs
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.signature import Signature

FEATURES: Final = (
    "similarity",  # of the answer's nearest question
    "margin",  # over the nearest question of another answer, 0.3 at most
    "second",  # similarity of its second nearest question, 0.5 at least
    "third",
    "rival",  # similarity of the nearest question of another answer
    "rival_squared",
    "support",  # ln(1 + number of its questions here)
    "doubt",  # ln of the share of the vote that goes to other answers
    "overlap",  # words in common over words in either, the best of its questions
    "polarity",  # share of its questions that polarity tells apart from the asked one
    "entities",
    "unrivalled",  # 1: no other answer here
    "supported_margin",  # margin times support
    "contrast",  # how far it says a rival's word ("annual") where this answer's questions say another ("monthly")
)

_NO_RIVAL = 0.3  # similarity of two questions that have nothing in common
_MOST_MARGIN = 0.3
_LEAST_SECOND = 0.5
_TEMPERATURE = 0.05  # of the vote: a question 0.05 farther away counts 1/e
_COMPARED = 4  # nearest questions of an answer whose signatures are looked at
_NEUTRAL_OVERLAP = 0.4

Weights = tuple[float, ...]
"""A constant, then one for each of ``FEATURES``."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One answer among the neighbours: its questions, nearest first, and how near the best of the others comes."""

    answer: str
    questions: tuple[Neighbour, ...]
    rival: float | None

    @property
    def similarity(self) -> float:
        return self.questions[0].similarity

    @property
    def margin(self) -> float:
        return self.similarity - (_NO_RIVAL if self.rival is None else self.rival)

    @property
    def support(self) -> int:
        return len(self.questions)


def standings(neighbours: Sequence[Neighbour]) -> list[Standing]:
    """Answers, nearest first. ``neighbours``: nearest first."""
    by_answer: dict[str, list[Neighbour]] = {}
    for neighbour in neighbours:
        by_answer.setdefault(neighbour.answer, []).append(neighbour)
    nearest = [(answer, questions[0].similarity) for answer, questions in by_answer.items()]
    return [
        Standing(answer, tuple(questions), next((s for other, s in nearest[:2] if other != answer), None))
        for answer, questions in by_answer.items()
    ]


def features_of(asked: Signature, standing: Standing, neighbours: Sequence[Neighbour]) -> tuple[float, ...]:
    similarities = [question.similarity for question in standing.questions]
    rival = _NO_RIVAL if standing.rival is None else standing.rival
    support = log(1 + standing.support)
    second, third = (*similarities[1:3], 0.0, 0.0)[:2]
    return (
        similarities[0],
        min(standing.margin, _MOST_MARGIN),
        max(second, _LEAST_SECOND),
        max(third, _LEAST_SECOND),
        rival,
        rival * rival,
        support,
        _doubt(similarities, neighbours),
        *_compared(asked, [question.signature for question in standing.questions[:_COMPARED]]),
        float(standing.rival is None),
        min(max(standing.margin, -0.2), _MOST_MARGIN) * support,
        _contrast(set(asked.words), standing, neighbours),
    )


def _doubt(similarities: Sequence[float], neighbours: Sequence[Neighbour]) -> float:
    nearest = neighbours[0].similarity
    votes = sum(exp((similarity - nearest) / _TEMPERATURE) for similarity in similarities)
    everyone = sum(exp((neighbour.similarity - nearest) / _TEMPERATURE) for neighbour in neighbours)
    return log(1.001 - votes / everyone)


def _compared(asked: Signature, stored: Sequence[Signature]) -> tuple[float, float, float]:
    """Overlap, and the shares that polarity and entities tell apart."""
    known = [signature for signature in stored if signature.known]
    if not known or not asked.known:
        return _NEUTRAL_OVERLAP, 0.0, 0.0
    words = set(asked.words)
    return (
        max(_overlap(words, signature.words) for signature in known),
        sum(polarity_differs(asked, signature) for signature in known) / len(known),
        sum(entities_differ(asked, signature) for signature in known) / len(known),
    )


def _contrast(asked: set[int], standing: Standing, neighbours: Sequence[Neighbour]) -> float:
    """In 0..1, by the rival for which it is greatest."""
    strange = asked.difference(*(question.signature.words for question in standing.questions))
    others = [neighbour for neighbour in neighbours if neighbour.answer != standing.answer]
    rivals = {other.answer for other in others if not strange.isdisjoint(other.signature.words)}
    if not rivals:
        return 0.0
    missing = {word: share for word, share in _shares(standing.questions).items() if word not in asked}
    return max(
        _exchanged(strange, missing, _shares([other for other in others if other.answer == rival])) for rival in rivals
    )


def _exchanged(strange: set[int], missing: Mapping[int, float], rival: Mapping[int, float]) -> float:
    theirs = max((rival.get(word, 0.0) for word in strange), default=0.0)
    ours = max((share * (1 - rival.get(word, 0.0)) for word, share in missing.items()), default=0.0)
    return theirs * ours


def _shares(questions: Sequence[Neighbour]) -> dict[int, float]:
    """Of each word, in which share of the questions it is."""
    count = Counter(chain.from_iterable(question.signature.words for question in questions))
    return {word: found / len(questions) for word, found in count.items()}


def _overlap(asked: set[int], stored: Sequence[int]) -> float:
    shared = len(asked.intersection(stored))
    either = len(asked) + len(stored) - shared
    return shared / either if either else 1.0


def probability(features: Sequence[float], weights: Weights) -> float:
    """In 0..1."""
    z = weights[0] + sum(weight * feature for weight, feature in zip(weights[1:], features, strict=True))
    return 1 / (1 + exp(-max(-40.0, min(40.0, z))))
