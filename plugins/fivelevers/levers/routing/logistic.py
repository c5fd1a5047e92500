"""Ridge-penalised logistic regression on sparse rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fivelevers.levers.routing.examples import Floats


def logistic(rows: Any, labels: Floats, penalty: Floats) -> Floats:
    """The weights that minimise log loss plus half the penalty times their squares; one penalty for each column.

    ``rows`` is a matrix of scipy.sparse, ``labels`` are 0 or 1. Where all labels are equal the weights stay finite,
    as long as every penalty is above 0.
    """
    from scipy.optimize import minimize  # of the extra "routing": only fitting needs it
    from scipy.special import expit

    sign = 2 * labels - 1

    def loss(w: Floats) -> tuple[float, Floats]:
        margin = sign * (rows @ w)
        slope = penalty * w - rows.T @ (sign * expit(-margin))
        return float(np.logaddexp(0, -margin).sum() + 0.5 * (penalty * np.square(w)).sum()), slope

    start = np.zeros(rows.shape[1])
    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found
