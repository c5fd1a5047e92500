"""The score's weights, learnt from questions whose answers are known: penalised logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]
_PENALTY = 1.0  # of the squares of the standardised weights; the bias is free


def fit(values: Floats, right: Floats) -> tuple[Floats, float]:
    """(weights, bias) for rows of features and 1 where the answer was right, 0 where it was wrong.

    Where all are right, or all wrong, the penalty keeps the weights finite.
    """
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    scaled = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    sign = 2 * right - 1
    penalty = np.append(np.full(values.shape[1], _PENALTY), 1e-3)

    def loss(w: Floats) -> Any:
        return np.logaddexp(0, -sign * (scaled @ w)).sum() + 0.5 * (penalty * w * w).sum()

    def slope(w: Floats) -> Any:
        return -scaled.T @ (sign * expit(-sign * (scaled @ w))) + penalty * w

    found = minimize(loss, np.zeros(scaled.shape[1]), jac=slope, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean)
