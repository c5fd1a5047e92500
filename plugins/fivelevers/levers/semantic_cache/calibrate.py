"""Calibration: from the questions that a route has stored and a judge has sorted, what may be served, and how surely.

Every question is taken out of the store in turn and decided against all the others, as if it were the next to come: so
the decision is tried on the very store that it will be served from. Five folds keep a question out of the weights that
score it. Then shares of the questions are tried from strict to loose, in an order that no result changes, and the first
that fails ends it (fixed-sequence testing): the last that passed is proven at the full confidence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fivelevers.levers.semantic_cache.bound import needed, needed_at, upper
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Point, Verdict
from fivelevers.levers.semantic_cache.fit import Floats, fit
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.score import Weights, features_of, standings
from fivelevers.levers.semantic_cache.serve import NEIGHBOURS, WEIGHED, Rule, Settings, decide
from fivelevers.levers.semantic_cache.signature import Signature

FOLDS = 5
STARTS_WITH = 14  # wrong hits that the first share which is tried can stand: of few, one is often a label gone wrong
FIRST_EXPECTED = 0.15  # of max_wrong: where the model begins to expect wrong ones, shares are worth trying
KEPT_BELOW = 0.55  # of max_wrong: what is served was wrong no more often, so that the next period proves it again
# A candidate that is right less often is not worth a judge. Judging from 0.3 on instead of 0.02 brought as many hits on
# CLINC150 and QQP, with a tenth to a fifth fewer judgements; beyond 0.5, hits go faster than judgements are saved.
LEAST_WORTH = 0.3
_STEP = 0.01  # of the questions, from one share to the next
_MARGIN = 0.02  # of the look-ups: their share that is judged scatters
_SERVED_AT_FIRST = 0.25  # a guess at the share of questions that are served, where nothing is known
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored question. ``answer`` is what a judge sorted it to; ``known`` False where no judge could tell.

    ``vector`` has unit length; ``at`` is when it was asked, seconds since the epoch.
    """

    scope: str
    question: str
    answer: str
    vector: Sequence[float]
    signature: Signature
    known: bool
    at: float


@dataclass(frozen=True, slots=True)
class Promise:
    """``max_wrong`` of the hits; of all look-ups no more than ``judged_share`` are judged, ``audit_share`` of the hits
    among them.
    """

    max_wrong: float = 0.03
    judged_share: float = 0.45
    audit_share: float = 0.05


def calibrate(
    entries: Iterable[Entry],
    settings: Settings,
    promise: Promise,
    holds: Holds,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """``told`` hears how many more questions were taken out."""
    tried = _tried(entries, told)
    result = Calibration(
        Verdict.NEED_MORE, promise.max_wrong, len(tried.at), 0, min(tried.at, default=0.0), max(tried.at, default=0.0),
        holds,
    )  # fmt: skip
    if len(tried.rows) < FOLDS:
        return replace(result, needed=_more(None, promise, len(tried.at)))
    hits = _Hits.of(tried, _crossed(tried), settings)
    curve = tuple(_shares(hits, len(tried.at)))
    proven = _sequence(curve, promise)
    chosen = _chosen(curve, promise, proven)
    result = replace(result, tested=len(hits.scores), curve=curve, proven=proven, chosen=chosen)
    if chosen is None:
        return _refused(result, promise)
    rule = Rule(_weights(tried, range(len(tried.rows))), chosen.threshold, _judge_at(hits, tried, chosen, promise))
    return replace(result, verdict=Verdict.SERVE, rule=rule)


@dataclass(frozen=True, slots=True)
class _Row:
    """One question against the others: its likeliest answers, their features, which are right, what refuses each."""

    entry: Entry
    neighbours: Sequence[Neighbour]
    features: tuple[tuple[float, ...], ...]
    right: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Tried:
    """``rows``: questions whose answer is known, and that have neighbours; ``at`` is of every question."""

    rows: Sequence[_Row]
    at: Sequence[float]


def _tried(entries: Iterable[Entry], told: Callable[[int], None]) -> _Tried:
    scopes: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        scopes[entry.scope].append(entry)
    rows = []
    for scope in scopes.values():
        for entry, neighbours in _taken_out(scope):
            told(1)
            if entry.known and neighbours:
                likeliest = standings(neighbours)[:WEIGHED]
                features = tuple(features_of(entry.signature, one, neighbours) for one in likeliest)
                right = tuple(one.answer == entry.answer for one in likeliest)
                rows.append(_Row(entry, neighbours, features, right))
    return _Tried(rows, [entry.at for scope in scopes.values() for entry in scope])


def _taken_out(scope: Sequence[Entry]) -> Iterator[tuple[Entry, list[Neighbour]]]:
    """Each entry with its nearest neighbours among the others."""
    vectors = np.array([entry.vector for entry in scope], dtype=np.float32)
    for start in range(0, len(scope), _CHUNK):
        near = vectors[start : start + _CHUNK] @ vectors.T
        for row, entry in enumerate(scope[start : start + _CHUNK]):
            near[row, start + row] = -np.inf
            k = min(NEIGHBOURS, len(scope) - 1)
            best = np.argpartition(-near[row], k - 1)[:k] if 0 < k < len(scope) - 1 else np.arange(len(scope))
            best = best[np.argsort(-near[row, best])][:k]
            yield entry, [_neighbour(scope[at], float(near[row, at])) for at in best]


def _neighbour(entry: Entry, similarity: float) -> Neighbour:
    return Neighbour(entry.question, entry.answer, similarity, entry.signature)


def _weights(tried: _Tried, chosen: Iterable[int]) -> Weights:
    rows = [tried.rows[at] for at in chosen]
    features = np.array([values for row in rows for values in row.features], float)
    right = np.array([label for row in rows for label in row.right], float)
    return tuple(float(weight) for weight in fit(features, right))


def _crossed(tried: _Tried) -> list[Weights]:
    """For every question, weights that were learnt without it."""
    count = len(tried.rows)
    folds = [_weights(tried, (at for at in range(count) if at % FOLDS != fold)) for fold in range(FOLDS)]
    return [folds[at % FOLDS] for at in range(count)]


@dataclass(frozen=True, slots=True)
class _Hits:
    """Of the questions that the route's settings let through: the score of the likeliest answer, and whether it is
    right; ``everyone`` has the score of each question with neighbours, let through or not.
    """

    scores: Floats
    right: Floats
    everyone: Floats

    @classmethod
    def of(cls, tried: _Tried, weights: Sequence[Weights], settings: Settings) -> _Hits:
        scores, right, everyone = [], [], []
        for row, learnt in zip(tried.rows, weights, strict=True):
            decision = decide(row.entry.signature, row.neighbours, settings, Rule(learnt, 0.0, 0.0))
            everyone.append(decision.score)
            if decision.served:
                scores.append(decision.score)
                right.append(float(decision.answer == row.entry.answer))
        return cls(np.array(scores, float), np.array(right, float), np.array(everyone, float))


def _shares(hits: _Hits, questions: int) -> Iterator[Point]:
    """From strict to loose."""
    order = np.argsort(-hits.scores, kind="stable")
    wrong, expected = np.cumsum(1 - hits.right[order]), np.cumsum(1 - hits.scores[order])
    for step in range(1, round(1 / _STEP) + 1):
        count = int(step * _STEP * questions)
        if count > len(order):
            return
        if count:
            found, last = round(float(wrong[count - 1])), float(hits.scores[order[count - 1]])
            yield Point(round(step * _STEP, 4), last, count, found, float(expected[count - 1]), upper(found, count))


def _sequence(curve: Sequence[Point], promise: Promise) -> Point | None:
    """The loosest point that passed."""
    first, proven = _first(curve, promise), None
    for point in curve:
        if point.hits < first:
            continue
        if point.upper > promise.max_wrong:
            break
        proven = point
    return proven


def _first(curve: Sequence[Point], promise: Promise) -> int:
    """Hits of the first share that is tried: chosen by how many there are and what the model expects, never by how many
    are wrong. Too few, and one label gone wrong ends it; too many, and a route that could serve a few serves none.
    """
    most = max((point.hits for point in curve), default=0)
    doubted = (p.hits for p in curve if p.expected >= FIRST_EXPECTED * promise.max_wrong * p.hits)
    least = max(needed(0, promise.max_wrong), most // 4, next(doubted, most))
    return min(needed(STARTS_WITH, promise.max_wrong), least)


def _chosen(curve: Sequence[Point], promise: Promise, proven: Point | None) -> Point | None:
    """The loosest share up to the proven one that is wrong seldom enough to be proven again next time."""
    good = [
        point
        for point in curve
        if proven is not None
        and needed(0, promise.max_wrong) <= point.hits <= proven.hits
        and point.wrong <= KEPT_BELOW * promise.max_wrong * point.hits
    ]
    return good[-1] if good else None


def _refused(result: Calibration, promise: Promise) -> Calibration:
    """Nothing is served: the best share that was tried is wrong too often, or too small to prove that it is not."""
    large = [point for point in result.curve if point.hits >= _first(result.curve, promise)]
    best = min(large, key=lambda point: point.wrong / point.hits, default=None)
    more = _more(best, promise, result.questions)
    return replace(result, verdict=Verdict.DO_NOT_SERVE if more is None else Verdict.NEED_MORE, needed=more)


def _more(best: Point | None, promise: Promise, questions: int) -> int | None:
    """Questions beyond those of now, were as many of them served as now and wrong as often; None: no number helps."""
    if best is None:
        return max(int(needed(0, promise.max_wrong) / _SERVED_AT_FIRST) - questions, 1)
    hits = needed_at(best.wrong / best.hits, promise.max_wrong)
    return None if hits is None else max(int(hits / best.share) - questions, 1)


def _judge_at(hits: _Hits, tried: _Tried, chosen: Point, promise: Promise) -> float:
    """The score from which a miss is judged, so that misses and audits stay within the promised share of look-ups."""
    allowed = int(len(tried.at) * max(promise.judged_share - promise.audit_share * chosen.share - _MARGIN, 0.0))
    served = np.sort(hits.scores[hits.scores >= chosen.threshold])
    missed = np.sort(np.array(list((Counter(hits.everyone.tolist()) - Counter(served.tolist())).elements()), float))
    at = float(missed[-allowed]) if 0 < allowed <= len(missed) else 0.0 if allowed else 1.0
    return max(at, LEAST_WORTH)
