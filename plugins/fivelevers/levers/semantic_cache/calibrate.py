"""Calibration: from the questions that a route has stored and a judge has sorted, what may be served, and how surely.

Every question is taken out of the store in turn and decided against all the others, as if it were the next to come: so
the decision is tried on the very store that it will be served from. Five folds keep a question out of the weights that
score it. Then shares of the questions are tried from strict to loose, in an order that no result changes, and the first
that fails ends it (fixed-sequence testing): the last that passed is proven at the full confidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from fivelevers.errors import CalibrationError
from fivelevers.levers.semantic_cache.bound import hits_needed, upper
from fivelevers.levers.semantic_cache.features import NAMES, features_of
from fivelevers.levers.semantic_cache.fit import Floats, fit
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.serve import JUDGE_FROM, Score, decide
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.policy import SemanticCacheSwitch

VERSION = 1
NEIGHBOURS = 16
FOLDS = 5
LEAST_HITS = 99  # below which no share can pass at 3 %
STARTS_AT = 0.5  # of max_wrong: the wrong rate that the model expects where the sequence begins
KEPT_BELOW = 0.6  # of max_wrong: what is served was wrong no more often, so that the next period proves it again
BELIEVED = 500  # hits that the model's expectation counts for beside those that were seen
_STEP = 0.01  # of the questions, from one share to the next
_CHUNK = 512


class Verdict(StrEnum):
    SERVE = "serve"
    DO_NOT_SERVE = "do-not-serve"  # more judging would not help: the answers are wrong too often
    NEED_MORE = "need-more"


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
class Point:
    """One share that was tried: of all questions, how many had been served, how many of these wrong, and how many the
    model expected to be.
    """

    share: float
    threshold: float
    hits: int
    wrong: int
    expected: float
    upper: float


@dataclass(frozen=True, slots=True)
class Holds:
    """What a calibration holds for: another embedder, model or prompt re-opens it."""

    embedder: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """``weights``, ``bias`` and ``threshold`` make the score; ``chosen`` is the share that is served, ``proven`` the
    loosest that passed. ``judge_from``: similarity from which a fresh answer is compared, so that no more than the
    policy's share is judged. ``needed``: questions to judge before another try can pass, None where that is not it.
    """

    verdict: Verdict
    max_wrong: float
    questions: int
    tested: int
    first_at: float
    last_at: float
    holds: Holds
    weights: tuple[float, ...] = ()
    bias: float = 0.0
    threshold: float = float("inf")
    judge_from: float = JUDGE_FROM
    chosen: Point | None = None
    proven: Point | None = None
    needed: int | None = None
    curve: tuple[Point, ...] = ()
    version: int = VERSION

    @property
    def score(self) -> Score | None:
        """None where nothing may be served."""
        return Score(self.weights, self.bias, self.threshold) if self.verdict is Verdict.SERVE else None

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        return {**found, "threshold": None if self.chosen is None else self.threshold}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Calibration:
        """Raises CalibrationError on what this release did not write."""
        try:
            if found["version"] != VERSION or len(found["weights"]) not in (0, len(NAMES)):
                raise CalibrationError(f"calibration: version {found['version']} is of another release; calibrate anew")
            holds = found["holds"]
            points = {name: found[name] and Point(**found[name]) for name in ("chosen", "proven")}
            return cls(
                **{
                    **found,
                    **points,
                    "verdict": Verdict(found["verdict"]),
                    "weights": tuple(found["weights"]),
                    "threshold": float("inf") if found["threshold"] is None else found["threshold"],
                    "curve": tuple(Point(**point) for point in found["curve"]),
                    "holds": Holds(holds["embedder"], tuple(holds["models"]), tuple(holds["prompts"])),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"calibration: can not be read: {error!r}; calibrate anew") from error


def calibrate(
    entries: Iterable[Entry],
    settings: SemanticCacheSwitch,
    holds: Holds,
    *,
    told: Callable[[int], None] = lambda _: None,
) -> Calibration:
    """``told`` hears how many more questions were decided."""
    tried = _tried(entries, settings, told)
    empty = Calibration(
        Verdict.NEED_MORE, settings.max_wrong, tried.questions, len(tried.right), tried.first_at, tried.last_at, holds
    )
    start = int(np.ceil(LEAST_HITS * min(0.03 / settings.max_wrong, 1)))
    if len(tried.right) < start or not 0 < tried.right.sum() < len(tried.right):
        return replace(empty, needed=_needed(0, 0, settings, tried))
    scores = _crossed(tried)
    curve = tuple(_shares(scores, tried))
    proven = _sequence(curve, settings)
    chosen = _chosen(curve, settings, proven)
    if chosen is None:
        return replace(empty, curve=curve, **_refused(curve, settings, tried))
    weights, bias = fit(tried.values, tried.right)
    return replace(
        empty,
        verdict=Verdict.SERVE,
        weights=tuple(float(w) for w in weights),
        bias=bias,
        threshold=chosen.threshold,
        judge_from=_judge_from(scores, tried, settings, chosen),
        chosen=chosen,
        proven=proven,
        curve=curve,
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    """Questions decided against the others: ``values`` and ``right`` of those whose answer is known and that the
    route's rules let through; ``similarity`` of every one to its nearest neighbour, -1 where it has none.
    """

    values: Floats
    right: Floats
    near: Floats
    similarity: Floats
    questions: int
    first_at: float
    last_at: float


def _tried(entries: Iterable[Entry], settings: SemanticCacheSwitch, told: Callable[[int], None]) -> _Tried:
    scopes: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        scopes[entry.scope].append(entry)
    values: list[tuple[float, ...]] = []
    right: list[float] = []
    near: list[float] = []
    similarity: list[float] = []
    for scope in scopes.values():
        for entry, neighbours in _taken_out(scope):
            told(1)
            similarity.append(neighbours[0].similarity if neighbours else -1.0)
            decision = decide(entry.signature, neighbours, settings, None)
            if decision.served and entry.known:
                values.append(features_of(entry.signature, neighbours).values)
                right.append(float(decision.answer == entry.answer))
                near.append(decision.similarity)
    times = [entry.at for scope in scopes.values() for entry in scope]
    return _Tried(
        np.array(values, float).reshape(-1, len(NAMES)),
        np.array(right, float),
        np.array(near, float),
        np.array(similarity, float),
        len(times),
        min(times, default=0.0),
        max(times, default=0.0),
    )


def _taken_out(scope: Sequence[Entry]) -> Iterable[tuple[Entry, list[Neighbour]]]:
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
    return Neighbour(entry.question, entry.answer, similarity, entry.known, entry.signature)


def _crossed(tried: _Tried) -> Floats:
    """Every question's score by weights that were learnt without it."""
    scores = np.empty(len(tried.right))
    folds = np.arange(len(tried.right)) % FOLDS
    for fold in range(FOLDS):
        weights, bias = fit(tried.values[folds != fold], tried.right[folds != fold])
        scores[folds == fold] = tried.values[folds == fold] @ weights + bias
    return scores


def _shares(scores: Floats, tried: _Tried) -> Iterable[Point]:
    """From strict to loose."""
    order = np.argsort(-scores, kind="stable")
    wrong = np.cumsum(1 - tried.right[order])
    expected = np.cumsum(1 / (1 + np.exp(np.clip(scores[order], -40, 40))))
    for step in range(1, int(1 / _STEP) + 1):
        hits = int(step * _STEP * tried.questions)
        if hits > len(order):
            return
        if hits:
            found, last = round(float(wrong[hits - 1])), float(scores[order[hits - 1]])
            yield Point(round(step * _STEP, 4), last, hits, found, float(expected[hits - 1]), upper(found, hits))


def _sequence(curve: Sequence[Point], settings: SemanticCacheSwitch) -> Point | None:
    """The loosest point that passed."""
    proven = None
    for point in curve:
        too_few = upper(0, point.hits) > settings.max_wrong
        if too_few or point.expected < STARTS_AT * settings.max_wrong * point.hits:
            continue
        if point.upper > settings.max_wrong:
            break
        proven = point
    return proven


def _chosen(curve: Sequence[Point], settings: SemanticCacheSwitch, proven: Point | None) -> Point | None:
    """The loosest share up to the proven one that is wrong seldom enough to be proven again next time.

    Seen and expected together: of a few hundred hits, a few wrong ones more or less are chance.
    """
    if proven is None:
        return None
    allowed = KEPT_BELOW * settings.max_wrong
    good = [
        point
        for point in curve
        if point.hits <= proven.hits
        and upper(0, point.hits) <= settings.max_wrong
        and point.wrong + BELIEVED * point.expected / point.hits <= allowed * (point.hits + BELIEVED)
    ]
    return good[-1] if good else None


def _refused(curve: Sequence[Point], settings: SemanticCacheSwitch, tried: _Tried) -> dict[str, Any]:
    """Why nothing is served: the best share that was tried is wrong too often, or is too small to prove it."""
    large = [point for point in curve if upper(0, point.hits) <= settings.max_wrong]
    best = min(large, key=lambda point: point.wrong / point.hits, default=None)
    if best is None:
        return {"needed": _needed(0, 0, settings, tried)}
    if best.wrong / best.hits > KEPT_BELOW * settings.max_wrong * 2:
        return {"verdict": Verdict.DO_NOT_SERVE}
    return {"needed": _needed(best.wrong, best.hits, settings, tried)}


def _needed(wrong: int, hits: int, settings: SemanticCacheSwitch, tried: _Tried) -> int:
    """Questions beyond those of now, were as many of them served as now and wrong as often."""
    share = hits / tried.questions if hits else 0.25  # a guess, where nothing is known
    rate = wrong / hits if hits else 0.0
    wanted = hits_needed(0, settings.max_wrong)
    while upper(int(rate * wanted + 0.5), wanted) > settings.max_wrong and wanted < 1_000_000:
        wanted = wanted * 5 // 4
    return max(int(wanted / share) - tried.questions, 1)


def _judge_from(scores: Floats, tried: _Tried, settings: SemanticCacheSwitch, chosen: Point) -> float:
    """So that misses and audits together are judged no more often than the policy's share of all look-ups."""
    served = chosen.hits / tried.questions
    allowed = max(settings.judge.share - settings.audit_share * served - 0.01, 0.0) * tried.questions
    # A miss is any question that is not served: of those that the rules let through we know the score.
    passed = np.sort(tried.near[scores >= chosen.threshold])
    everyone = np.sort(tried.similarity)
    missed = _without(everyone, passed)
    if allowed >= len(missed):
        return JUDGE_FROM
    return max(float(missed[len(missed) - int(allowed) - 1]), JUDGE_FROM)


def _without(everyone: Floats, some: Floats) -> Floats:
    """Sorted ``everyone`` less one of each value of ``some``."""
    kept, at = [], 0
    for value in everyone:
        if at < len(some) and value >= some[at] - 1e-12:
            at += 1
        else:
            kept.append(value)
    return np.array(kept)
