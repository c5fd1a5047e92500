"""What labelled prompts say of the models before anything is routed: by complexity, and as points of cost and success.

A prompt's complexity is what its models believe of it: the mean of their chances, cut where a third of the prompts lie.
So nothing that is averaged in a tier has chosen the tier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fivelevers.levers.routing.bound import Pairs, interval
from fivelevers.levers.routing.certify import Judged
from fivelevers.levers.routing.choose import choose
from fivelevers.levers.routing.examples import Examples

TIERS = ("simple", "medium", "complex")


@dataclass(frozen=True, slots=True)
class Line:
    """One model on one tier. ``accuracy_delta``: its share of right answers less the strong model's, from ``low`` to
    ``high`` with 95 % confidence. ``cost_usd``: of one answer.
    """

    tier: str
    model: str
    prompts: int
    right: float
    cost_usd: float
    accuracy_delta: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spot:
    """``cost``: as a share of the strong model's."""

    name: str
    cost: float
    right: float


@dataclass(frozen=True, slots=True)
class Overview:
    """What people look at beside the certificate: every model by tier, and alone."""

    lines: tuple[Line, ...]
    spots: tuple[Spot, ...]


def overview(judged: Judged, strong: str) -> Overview:
    return Overview(tuple(by_tier(judged, strong)), tuple(spots(judged.examples.plain, strong)))


def by_tier(judged: Judged, strong: str) -> list[Line]:
    """Every model on every tier that has prompts, cheapest first; prompts of unknown routes are in none."""
    belief = judged.success.mean(axis=1)
    known = belief[~np.isnan(belief)]
    if not known.size:
        return []
    cuts = np.quantile(known, [1 / 3, 2 / 3])
    place = np.where(np.isnan(belief), -1, 2 - np.searchsorted(cuts, belief, side="right"))
    examples = judged.examples.plain
    order = np.argsort(examples.cost_usd.mean(axis=0))
    parts = [(tier, examples.take(np.flatnonzero(place == at))) for at, tier in enumerate(TIERS)]
    return [_line(tier, part, int(model), strong) for tier, part in parts if len(part) for model in order]


def _line(tier: str, part: Examples, at: int, strong: str) -> Line:
    right, best = part.success[:, at], part.success[:, part.models.index(strong)]
    pairs = Pairs(len(part), int((best > right).sum()), int((right > best).sum()))
    most, least = interval(pairs)
    mean, cost = float(right.mean()), float(part.cost_usd[:, at].mean())
    return Line(tier, part.models[at], len(part), mean, cost, -pairs.loss, -least, -most)


def spots(examples: Examples, strong: str) -> list[Spot]:
    """Every model alone, and the oracle: who knows which models are right, and takes the cheapest of them."""
    at = examples.models.index(strong)
    whole = examples.cost_usd[:, at].mean()
    means = zip(examples.models, examples.cost_usd.mean(axis=0), examples.success.mean(axis=0), strict=True)
    alone = [Spot(model, float(cost / whole), float(right)) for model, cost, right in means]
    chosen, rows = choose(examples.success.copy(), examples.cost_usd, at, 0.0), np.arange(len(examples))
    cost, right = examples.cost_usd[rows, chosen].mean(), examples.success[rows, chosen].mean()
    return [*alone, Spot("oracle", float(cost / whole), float(right))]
