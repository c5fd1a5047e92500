"""Labelled prompts: of each, which models answered it rightly and what each answer cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fivelevers.levers.routing.features import Features

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """``success`` (0 or 1) and ``cost_usd`` have a row for each prompt and a column for each of ``models``.

    ``routes`` names the cell whose successes are averaged: the policy's route, or a part of it that requests name.
    ``pair``: those of a cascade's two models, each asked by itself, where these are a cascade's.
    """

    models: tuple[str, ...]
    features: Sequence[Features]
    routes: Sequence[str]
    chars: Floats
    success: Floats
    cost_usd: Floats
    pair: Examples | None = None

    @property
    def plain(self) -> Examples:
        """The prompts' own features, and what a model costs that is asked by itself."""
        return self if self.pair is None else self.pair

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Rows) -> Examples:
        return Examples(
            self.models,
            [self.features[at] for at in rows],
            [self.routes[at] for at in rows],
            self.chars[rows],
            self.success[rows],
            self.cost_usd[rows],
            None if self.pair is None else self.pair.take(rows),
        )

    def only(self, models: Sequence[str]) -> Examples:
        """The same prompts with these models alone, in this order."""
        at = [self.models.index(model) for model in models]
        success, cost_usd = self.success[:, at], self.cost_usd[:, at]
        pair = None if self.pair is None else self.pair.only(models)
        return Examples(tuple(models), self.features, self.routes, self.chars, success, cost_usd, pair)
