"""The score's weights, learnt from questions whose answers are known: logistic regression, drawn towards the prior."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fivelevers.levers.semantic_cache.prior import PRIOR, SPREAD

Floats = NDArray[np.float64]
_PENALTY = 1.0  # of the squared distance from the prior, in standard deviations of the feature


def fit(features: Floats, right: Floats) -> Floats:
    """A constant and a weight for each feature, for rows of features and 1 where the answer was right, else 0.

    A route with few labels stays near the prior; where all are right, or all wrong, the weights stay finite.
    """
    from scipy.optimize import minimize  # of the extra "semantic": nobody needs it before this lever is used
    from scipy.special import expit

    rows = np.column_stack([np.ones(len(features)), features])
    sign, prior = 2 * right - 1, np.array(PRIOR)
    penalty = _PENALTY * np.append(0.01, np.square(SPREAD))

    def loss(w: Floats) -> Any:
        return np.logaddexp(0, -sign * (rows @ w)).sum() + 0.5 * (penalty * np.square(w - prior)).sum()

    def slope(w: Floats) -> Any:
        return -rows.T @ (sign * expit(-sign * (rows @ w))) + penalty * (w - prior)

    found: Floats = minimize(loss, prior, jac=slope, method="L-BFGS-B", options={"maxiter": 500}).x
    return found
