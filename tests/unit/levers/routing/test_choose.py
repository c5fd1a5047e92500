"""Thrift grows with the threshold, and a gain that is none is never paid for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fivelevers.levers.routing.choose import choose, grid, turning_points
from fivelevers.levers.routing.examples import Floats

CHANCES = arrays(np.float64, (30, 3), elements=st.floats(0.01, 0.99))
COST = np.tile([0.001, 0.003, 0.02], (30, 1))


@given(CHANCES, st.lists(st.floats(-1, 500), min_size=2, max_size=8))
def test_the_strong_model_answers_less_the_higher_the_threshold(chances: Floats, thresholds: list[float]) -> None:
    chosen = [choose(chances, COST, 2, threshold) for threshold in sorted(thresholds)]
    strong = [int((one == 2).sum()) for one in chosen]
    assert strong == sorted(strong, reverse=True)


@given(CHANCES)
def test_at_zero_the_strong_model_answers_only_where_it_is_expected_to_be_better(chances: Floats) -> None:
    chosen = choose(chances, COST, 2, 0.0)
    best = chances.max(axis=1)
    assert (chances[np.arange(30), chosen] >= best - 1e-9).all()
    assert (chances[chosen == 2, 2] > chances[chosen == 2, :2].max(axis=1)).all()


def test_below_zero_another_model_must_beat_it_by_that_much() -> None:
    chances = np.array([[0.80, 0.75], [0.80, 0.60]])
    assert choose(chances, COST[:2, [0, 2]], 1, -0.1).tolist() == [1, 0]


def test_what_is_not_known_goes_to_the_strong_model() -> None:
    chances = np.array([[np.nan, np.nan], [0.9, 0.1]])
    assert choose(chances, COST[:2, [0, 2]], 1, 1000.0).tolist() == [1, 0]


@settings(max_examples=30)
@given(CHANCES)
def test_the_grid_runs_from_nobody_to_everybody(chances: Floats) -> None:
    pair, cost = chances[:, :2], COST[:, [0, 2]]
    thresholds = grid(turning_points(pair, cost, 1), 10)
    routed = [int((choose(pair, cost, 1, threshold) == 0).sum()) for threshold in thresholds]
    assert list(thresholds) == sorted(thresholds)
    assert routed == sorted(routed)
    assert routed[-1] >= 29  # the last turn may be lost to rounding
    assert len(thresholds) <= 10


def test_a_model_that_is_dearer_and_no_better_has_no_turning_point() -> None:
    points = turning_points(np.array([[0.5, 0.6]]), np.array([[2.0, 1.0]]), 1)
    assert points.tolist() == [[np.inf]]
    assert grid(points, 10) == ()
