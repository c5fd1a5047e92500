"""What a router believes: of each model the chance to answer a prompt rightly, and what its answer costs.

The chance is the mean of two estimates that err differently: the share of right answers on the route, drawn towards
that of all routes where the route has few labels; and a logistic regression on the prompt's words, surface and route.
Where an answer was looked at, the regression alone tells: that says more than how often its route is answered rightly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fivelevers.levers.routing.examples import Floats
from fivelevers.levers.routing.features import Features

FARTHEST = 3.0  # standard deviations to which a count of the surface is cut: a log file is no harder than a long text


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the logistic regressions, a column for each model: rows for the routes, the surface, the buckets of words."""

    constant: Floats
    routes: Floats
    surface: Floats
    words: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Model:
    """``routes``: the row of each known route. ``shrunk``: its share of right answers, a column for each model.

    ``shrunk_weight``: its weight in the chance, that of the regression being the rest. An answer costs ``usd_fixed``, a
    row for each route, and ``usd_per_char`` for each character of the prompt.
    """

    models: tuple[str, ...]
    routes: Mapping[str, int]
    shrunk: Floats
    surface_mean: Floats
    surface_spread: Floats
    weights: Weights
    usd_fixed: Floats
    usd_per_char: Floats
    shrunk_weight: float = 0.5

    def success(self, features: Features, route: str) -> Floats | None:
        """The chance of each model to answer rightly; None on a route without labels: nothing is known there."""
        at = self.routes.get(route)
        if at is None:
            return None
        weights = self.weights
        logit = weights.constant + weights.routes[at] + self._standard(features) @ weights.surface
        if features.words.size:
            logit = logit + weights.words[features.words].sum(axis=0, dtype=float) / np.sqrt(features.words.size)
        told = 1 / (1 + np.exp(-logit))
        chance: Floats = told + self.shrunk_weight * (self.shrunk[at] - told)
        return chance

    def cost_usd(self, route: str, chars: float) -> Floats | None:
        """What an answer to a prompt of that length is expected to cost, by model; None on a route without labels."""
        at = self.routes.get(route)
        if at is None:
            return None
        cost: Floats = self.usd_fixed[at] + self.usd_per_char * chars
        return cost

    def all_success(self, features: Sequence[Features], routes: Sequence[str]) -> Floats:
        """A row for each prompt; NaN on a route without labels."""
        return self._rows(self.success(one, route) for one, route in zip(features, routes, strict=True))

    def all_costs_usd(self, routes: Sequence[str], chars: Floats) -> Floats:
        """As ``all_success``."""
        return self._rows(self.cost_usd(route, one) for route, one in zip(routes, chars.tolist(), strict=True))

    def _rows(self, found: Iterable[Floats | None]) -> Floats:
        unknown = np.full(len(self.models), np.nan)
        rows = [unknown if row is None else row for row in found]
        return np.array(rows).reshape(-1, len(self.models))

    def _standard(self, features: Features) -> Floats:
        return standard(np.array(features.surface), self.surface_mean, self.surface_spread)


def standard(surface: Floats, mean: Floats, spread: Floats) -> Floats:
    return np.clip((surface - mean) / spread, -FARTHEST, FARTHEST)
