"""Which model answers: the best by expected success less what its dollars would have to be worth.

One number orders all policies from careful to thrifty. Below 0 it is a margin: another model than the strong one must
beat its expected success by that much. From 0 on it is a price, in success per USD: extra dollars must buy that much.
So the cheap model is taken wherever the strong one is not expected to be better, and never divided by a negative gain.
"""

from __future__ import annotations

import numpy as np

from fivelevers.levers.routing.examples import Floats, Rows

_FIRST = 1e-12  # among equals the cheapest


def choose(success: Floats, cost_usd: Floats, strong: int, threshold: float) -> Rows:
    """The column that answers each row; where the chances are unknown (NaN), the strong one."""
    value = success - max(threshold, _FIRST) * cost_usd
    value[:, strong] += max(-threshold, 0.0)
    value[np.isnan(success).any(axis=1)] = 0.0
    chosen: Rows = np.argmax(value, axis=1)
    chosen[np.isnan(success).any(axis=1)] = strong
    return chosen


def turning_points(success: Floats, cost_usd: Floats, strong: int) -> Floats:
    """The threshold from which on each other model is preferred to the strong one, for every row and model.

    A row on which the other is no cheaper has none (infinity), unless it is expected to be better.
    """
    gain = success[:, [strong]] - success
    dearer = cost_usd[:, [strong]] - cost_usd
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(dearer > 0, gain / dearer, np.inf)
    points = np.where(gain > 0, price, gain)
    others: Floats = np.delete(points, strong, axis=1)
    return others


def grid(points: Floats, steps: int) -> tuple[float, ...]:
    """Thresholds from careful to thrifty, by which equal shares of the rows turn; each once."""
    finite = points[np.isfinite(points)]
    if not finite.size:
        return ()
    chosen = np.quantile(finite, np.linspace(0, 1, steps + 1)[1:], method="higher")
    return tuple(float(point) for point in np.unique(np.nextafter(chosen, np.inf)))
