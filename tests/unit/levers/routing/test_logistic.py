"""The weights are those that scipy's own minimiser finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from fivelevers.levers.routing.logistic import logistic


@pytest.mark.parametrize("seed", range(4))
def test_it_finds_the_minimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = sparse.random(300, 80, density=0.1, random_state=seed, format="csr")
    rows = sparse.hstack([np.ones((300, 1)), rows]).tocsr()
    labels = (rng.random(300) < 0.2 + 0.1 * seed).astype(float)
    penalty = rng.choice([0.01, 1.0, 20.0], 81)
    sign = 2 * labels - 1

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (rows @ w)).sum() + 0.5 * (penalty * w * w).sum())

    best = minimize(loss, np.zeros(81), method="L-BFGS-B", options={"maxfun": 10**6, "maxiter": 5000}).fun
    assert loss(logistic(rows, labels, penalty)) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_where_all_labels_are_equal_the_weights_stay_finite(label: float) -> None:
    rows = sparse.csr_matrix(np.ones((500, 1)))
    (weight,) = logistic(rows, np.full(500, label), np.array([0.01]))
    assert 5 < abs(weight) < 20
    assert (weight > 0) == (label == 1)
