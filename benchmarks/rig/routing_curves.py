"""What an order of prompts is worth: the curve from asking the cheap model alone to asking the strong one alone.

APGR and CPT are RouteLLM's (Ong et al. 2024, arXiv 2406.18665), over the share of strong calls. A saving at 95 % is the
most that a point of the curve saves of the strong model's cost with 95 % of its successes; the point is picked on the
same prompts, for every policy alike. AIQ is RouterBench's (Hu et al. 2024, arXiv 2403.12031): the mean height of the
upper hull over the range of the models' costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fivelevers.levers.routing.examples import Examples, Floats


@dataclass(frozen=True, slots=True)
class Ranking:
    """The higher, the rather to the strong model: counted in calls, and counted in dollars."""

    calls: Floats
    dollars: Floats


def figures(truth: Examples, ranking: Ranking, without_usd: float | None = None) -> dict[str, float]:
    """Of two models, the cheap one first. CPT and savings in percent.

    ``without_usd``: what the strong model alone costs, where that is not its column.
    """
    weak, strong = truth.success.mean(axis=0)
    reached = (_success(truth, ranking.calls) - weak) / (strong - weak)
    share = np.linspace(0, 1, len(reached))
    accuracy = _success(truth, ranking.dollars)
    cost = _along(truth.cost_usd, ranking.dollars) / (without_usd or truth.cost_usd[:, 1].sum())
    found = {"apgr": float(np.trapezoid(reached, share))}
    found |= {f"cpt{level}": float(100 * share[np.argmax(reached >= level / 100)]) for level in (50, 80)}
    for level in (95, 98, 100):
        enough = accuracy >= level / 100 * strong - 1e-12
        found[f"save{level}"] = float(100 * (1 - cost[enough].min()))
    return found


def _success(truth: Examples, score: Floats) -> Floats:
    """The share of right answers with the first k prompts at the strong model, for k from 0 to all."""
    return _along(truth.success, score) / len(truth)


def _along(columns: Floats, score: Floats) -> Floats:
    order = np.argsort(-score, kind="stable")
    steps: Floats = np.cumsum(np.concatenate([[columns[:, 0].sum()], (columns[:, 1] - columns[:, 0])[order]]))
    return steps


def aiq(points: Floats, costs: Floats) -> float:
    """``points``: mean cost and mean success of policies. ``costs``: the mean cost of each single model."""
    low, high = float(costs.min()), float(costs.max())
    grid = np.linspace(low, high, 2001)
    return float(_hull(points, grid).mean())


def _hull(points: Floats, grid: Floats) -> Floats:
    """The best that a mix of two policies reaches at each cost; beyond the dearest, what that reaches."""
    best: list[tuple[float, float]] = []
    for cost, success in sorted({(float(cost), float(success)) for cost, success in points}):
        if best and success <= best[-1][1]:
            continue
        while len(best) > 1 and _below(best[-2], best[-1], (cost, success)):
            best.pop()
        best.append((cost, success))
    costs, successes = np.array(best).T
    height: Floats = np.interp(grid, costs, successes)
    return height


def _below(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    return (middle[1] - left[1]) * (right[0] - left[0]) <= (right[1] - left[1]) * (middle[0] - left[0])
