"""Fitting a `Model` to labelled prompts.

The penalties below are round numbers on a plateau: on MMLU and MMLU-Pro with 1,500 labels, a third or thrice of each
moved the area under the curve by less than .005. They were not tuned further. The share of right answers has no weight
in a cascade: with half of it, a fifth of the saving that was certified on GSM8K and on MMLU-Pro was lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fivelevers.levers.routing.examples import Examples, Floats
from fivelevers.levers.routing.features import BUCKETS
from fivelevers.levers.routing.logistic import logistic
from fivelevers.levers.routing.model import Model, Weights, standard

FOLDS = 5
SHRUNK_WEIGHT = 0.5
SHRINK = 20.0  # labels that the mean of all routes weighs in the mean of one
_PENALTY_CONSTANT = 0.01
_PENALTY_ROUTE = 3.0
_PENALTY_SURFACE = 20.0
_PENALTY_WORDS = 1.0
_SEEN = 2  # prompts that a word must be in


def fit(examples: Examples) -> Model:
    """Needs one labelled prompt at least; 10,000 with two models take seconds."""
    routes = {route: at for at, route in enumerate(dict.fromkeys(examples.routes))}
    cells = np.array([routes[route] for route in examples.routes])
    surface = np.array([one.surface for one in examples.features], float)
    mean, spread = surface.mean(axis=0), surface.std(axis=0) + 1e-9
    fixed, per_char = _costs(examples, cells, len(routes))
    return Model(
        models=examples.models,
        routes=routes,
        shrunk=_shrunk(examples.success, cells, len(routes)),
        surface_mean=mean,
        surface_spread=spread,
        weights=_weights(examples, cells, len(routes), standard(surface, mean, spread)),
        usd_fixed=fixed,
        usd_per_char=per_char,
        shrunk_weight=SHRUNK_WEIGHT if examples.pair is None else 0.0,
    )


def crossed(examples: Examples) -> Floats:
    """The chances of every prompt by models that were fitted without it: what is chosen by them is chosen fairly."""
    found = np.zeros_like(examples.success)
    fold = np.arange(len(examples)) % FOLDS
    for number in range(min(FOLDS, len(examples))):
        rest, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        if rest.size:
            part = examples.take(held)
            found[held] = fit(examples.take(rest)).all_success(part.features, part.routes)
    return found


def _shrunk(success: Floats, cells: Any, count: int) -> Floats:
    """Beta-binomial means."""
    return _drawn(success, (success.sum(axis=0) + 1) / (len(success) + 2), cells, count)


def _drawn(values: Floats, prior: Floats, cells: Any, count: int) -> Floats:
    """Means by route, in each of which the prior counts as ``SHRINK`` labels."""
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, cells, values)
    seen = np.bincount(cells, minlength=count)[:, None]
    drawn: Floats = (total + SHRINK * prior) / (seen + SHRINK)
    return drawn


def _weights(examples: Examples, cells: Any, count: int, surface: Floats) -> Weights:
    words, kept = _words(examples)
    rows, penalty = _columns(cells, count, surface, words)
    fitted = np.stack([logistic(rows, right, penalty) for right in examples.success.T], axis=1)
    first, second = 1 + count, 1 + count + surface.shape[1]
    table = np.zeros((BUCKETS, len(examples.models)), np.float16)  # as the artifact keeps it
    table[kept] = fitted[second:]
    return Weights(fitted[0], fitted[1:first], fitted[first:second], table)


def _columns(cells: Any, count: int, surface: Floats, words: Any) -> tuple[Any, Floats]:
    """A constant, one column for each route, the surface and the words; and the penalty of each."""
    from scipy import sparse

    size = len(cells)
    one_hot = sparse.csr_matrix((np.ones(size), (np.arange(size), cells)), shape=(size, count))
    parts = [sparse.csr_matrix(np.ones((size, 1))), one_hot, sparse.csr_matrix(surface), words]
    penalties = (_PENALTY_CONSTANT, _PENALTY_ROUTE, _PENALTY_SURFACE, _PENALTY_WORDS)
    penalty = np.repeat(penalties, [part.shape[1] for part in parts])
    return sparse.hstack(parts).tocsr(), penalty


def _words(examples: Examples) -> tuple[Any, Any]:
    """The rows of words, each of length 1, with the columns that several prompts have; and which columns these are."""
    from scipy import sparse

    sizes = np.array([one.words.size for one in examples.features])
    columns = np.concatenate([one.words for one in examples.features])
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    table = sparse.csr_matrix((values, columns, ends), shape=(len(examples), BUCKETS))
    kept = np.flatnonzero(np.bincount(columns, minlength=BUCKETS) >= _SEEN)
    return table[:, kept], kept


def _costs(examples: Examples, cells: Any, count: int) -> tuple[Floats, Floats]:
    """Least squares of the cost over the prompt's length, by model, and what each route costs beside; none is below 0.

    Answers of one route are longer than those of another, whatever was asked.
    """
    chars, costs = examples.chars, examples.cost_usd
    deviation = chars - chars.mean()
    varies = float(np.square(deviation).sum())
    slope = deviation @ costs / varies if varies > 0 else np.zeros(costs.shape[1])
    steepest = costs.mean(axis=0) / chars.mean() if chars.mean() > 0 else np.zeros(costs.shape[1])
    slope = np.clip(slope, 0, steepest)
    rest = costs - chars[:, None] * slope
    return np.maximum(_drawn(rest, rest.mean(axis=0), cells, count), 0.0), slope
