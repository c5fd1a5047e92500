"""The certificate: how thrifty a route may be so that its answers are right nearly as often, proven on held-back pairs.

Policies and their order from careful to thrifty are fixed on the prompts that the model was fitted to. Each is tried on
the calibration prompts in that order, and the first whose loss may exceed epsilon ends it (fixed-sequence testing): the
last that passed keeps the promise at the full confidence, however many were tried. Of several cheaper models each is
tried against the strong one, and all together; these sequences share the error (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from fivelevers.levers.routing.bound import Bound, Pairs, needed, upper
from fivelevers.levers.routing.choose import choose, grid, turning_points
from fivelevers.levers.routing.examples import Examples, Floats

STEPS = 50
MOST_NEEDED = 20_000  # more labels than anybody would make: the answer is no
WORTH_ASKING = 3.0  # times the least saving: what more labels must be expected to prove, to be asked for


class Verdict(StrEnum):
    ROUTE = "route"
    DO_NOT_ROUTE = "do-not-route"  # labels would not help: the cheaper models save too little at that quality
    NEED_MORE = "need-more"


@dataclass(frozen=True, slots=True)
class Promise:
    """Answers are right at most ``epsilon`` less often than the strong model's, with probability 1 - ``error``.

    What certainly saves less than ``least_saving`` of the cost per successful output is not worth a router.
    """

    epsilon: float = 0.02
    error: float = 0.05
    bound: Bound = Bound.EXACT
    least_saving: float = 0.05


@dataclass(frozen=True, slots=True)
class Point:
    """One policy on labelled prompts. ``routed``: the share that the strong model did not answer.

    ``saving`` is a share of the strong model's cost, ``least_saving`` its lower bound. ``upper`` bounds the loss.
    ``worth``: what is saved of the strong model's cost per successful output, both being at their bounds.
    """

    threshold: float
    routed: float
    saving: float
    least_saving: float
    pairs: Pairs
    upper: float
    worth: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """``models`` may answer, ``strong`` among them; ``chosen`` is the policy that passed last, None where none did.

    ``needed``: calibration prompts with which another try can be expected to pass, where more would help.
    """

    verdict: Verdict
    promise: Promise
    strong: str
    models: tuple[str, ...]
    tested: int
    chosen: Point | None = None
    needed: int | None = None
    curve: tuple[Point, ...] = ()

    @property
    def saving(self) -> float:
        """What was certified, as a share of the strong model's cost."""
        return self.chosen.saving if self.chosen is not None else 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Labelled prompts with what was believed of them before their labels were seen: a column for each model.

    ``without_usd``: what each answer costs where nothing is routed, by the strong model alone.
    """

    examples: Examples
    success: Floats
    cost_usd: Floats
    without_usd: Floats

    def only(self, models: Sequence[str]) -> Judged:
        at = [self.examples.models.index(model) for model in models]
        return Judged(self.examples.only(models), self.success[:, at], self.cost_usd[:, at], self.without_usd)


def certify(train: Judged, calibration: Judged, strong: str, promise: Promise) -> Certificate:
    """``train`` holds beliefs by models that were fitted without the prompt; of it the thresholds are made."""
    tried = tuple(_candidates(train.examples.models, strong))
    shared = replace(promise, error=promise.error / max(1, len(tried)))
    found = [_certified(train.only(models), calibration.only(models), strong, shared) for models in tried]
    best = max(found, key=lambda one: (one.saving, -(one.needed or np.inf)), default=None)
    if best is None:
        return Certificate(Verdict.DO_NOT_ROUTE, promise, strong, train.examples.models, len(calibration.examples))
    return replace(best, promise=promise)


def _candidates(models: Sequence[str], strong: str) -> Iterator[tuple[str, ...]]:
    others = [model for model in models if model != strong]
    yield from ((other, strong) for other in others)
    if len(others) > 1:
        yield tuple(models)


def _certified(train: Judged, calibration: Judged, strong: str, promise: Promise) -> Certificate:
    points = turning_points(train.success, train.cost_usd, train.examples.models.index(strong))
    return certify_at(grid(points, STEPS), calibration, strong, promise)


def certify_at(thresholds: Sequence[float], calibration: Judged, strong: str, promise: Promise) -> Certificate:
    """``thresholds``: from careful to thrifty, chosen without a look at these prompts."""
    models, tested = calibration.examples.models, len(calibration.examples)
    at = models.index(strong)
    curve = tuple(point_of(calibration, at, threshold, promise) for threshold in thresholds)
    passed = _passed(curve, promise.epsilon)
    chosen = max(passed, key=lambda point: point.saving, default=None)
    made = Certificate(Verdict.ROUTE, promise, strong, models, tested, chosen, None, curve)
    if chosen is not None and chosen.worth >= promise.least_saving:
        return made
    more = _more(curve, promise, float(calibration.examples.success[:, at].mean()))
    return replace(made, verdict=Verdict.DO_NOT_ROUTE if more is None else Verdict.NEED_MORE, needed=more)


def _passed(curve: Sequence[Point], epsilon: float) -> Sequence[Point]:
    failed = next((at for at, point in enumerate(curve) if point.upper > epsilon), len(curve))
    return curve[:failed]


def point_of(judged: Judged, strong: int, threshold: float, promise: Promise) -> Point:
    """What a policy would have done on these prompts."""
    chosen = choose(judged.success, judged.cost_usd, strong, threshold)
    rows, truth = np.arange(len(chosen)), judged.examples
    right = truth.success[:, strong]
    loss = right - truth.success[rows, chosen]
    pairs = Pairs(len(loss), int((loss > 0).sum()), int((loss < 0).sum()))
    bound = upper(pairs, promise.error, promise.bound)
    saving, least = _saving(judged.without_usd, truth.cost_usd[rows, chosen], promise.error)
    worth = net(least, bound, float(right.mean()))
    return Point(threshold, float((chosen != strong).mean()), saving, least, pairs, bound, worth)


def net(saving: float, loss: float, right: float) -> float:
    """What is saved of the cost per successful output, when that much of the cost is saved and of the successes lost.

    ``right``: the strong model's share of successes.
    """
    return 1 - (1 - saving) * right / (right - loss) if right > loss else -np.inf


def _saving(without_usd: Floats, chosen_usd: Floats, error: float) -> tuple[float, float]:
    """The share of the cost that is saved, and its one-sided bound (ratio of two means, normal approximation)."""
    from scipy.special import ndtri

    total = without_usd.sum()
    if total <= 0:
        return 0.0, 0.0
    saving = float(1 - chosen_usd.sum() / total)
    spread = np.sqrt(np.square(without_usd - chosen_usd - saving * without_usd).sum()) / total
    return saving, saving - float(ndtri(1 - error) * spread)


def _more(curve: Sequence[Point], promise: Promise, right: float) -> int | None:
    """The fewest prompts that prove a saving worth having, if saving and loss are as they were seen."""
    fewest, most = None, MOST_NEEDED
    for point in curve:
        if net(point.saving, point.pairs.loss, right) >= WORTH_ASKING * promise.least_saving:
            lost, won = (count / point.pairs.tested for count in (point.pairs.lost, point.pairs.won))
            found = needed(lost, won, promise.epsilon, promise.error, promise.bound, most=most)
            if found is not None:
                fewest = most = found
    # Where the rates that were seen suffice already, chance or an earlier policy failed: it takes another sample.
    return fewest if fewest is None else max(fewest, 2 * curve[0].pairs.tested)
