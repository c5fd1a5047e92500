"""What is certified is kept, and what does not pay is not routed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fivelevers.levers.routing.calibrate import judged, out_of_fold
from fivelevers.levers.routing.certify import Certificate, Promise, Verdict, certify, net, point_of
from fivelevers.levers.routing.examples import Examples
from fivelevers.levers.routing.fit import fit
from tests.unit.levers.routing.made_up import examples

TRAIN = examples(800, seed=11)
MODEL = fit(TRAIN)


UNSEEN = out_of_fold(TRAIN, MODEL, "strong")


def certified(calibration: Examples, promise: Promise, train: Examples | None = None) -> Certificate:
    model = MODEL if train is None else fit(train)
    unseen = UNSEEN if train is None else out_of_fold(train, model, "strong")
    return certify(unseen, judged(model, calibration, "strong"), "strong", promise)


def test_a_team_whose_easy_traffic_is_half_is_routed() -> None:
    made = certified(examples(1500, seed=12), Promise(epsilon=0.03))
    assert made.verdict is Verdict.ROUTE
    assert made.chosen is not None
    assert made.chosen.upper <= 0.03
    assert 0.2 < made.saving < 0.75
    assert made.chosen.worth < made.chosen.least_saving < made.saving
    assert made.needed is None


def test_the_promise_is_broken_no_more_often_than_it_says() -> None:
    promise, broken, truth = Promise(epsilon=0.03), 0, judged(MODEL, examples(20_000, seed=13), "strong")
    for seed in range(40):
        made = certified(examples(600, seed=100 + seed), promise)
        if made.chosen is not None:
            broken += point_of(truth, 1, made.chosen.threshold, promise).pairs.loss > promise.epsilon
    assert broken <= 4


def test_a_cheap_model_that_fails_everywhere_is_not_routed_to() -> None:
    chances = {"law": (0.3, 0.9), "riddles": (0.3, 0.9)}
    train, calibration = (examples(1500, seed=seed, chances=chances) for seed in (14, 15))
    made = certified(calibration, Promise(), train)
    assert made.verdict is Verdict.DO_NOT_ROUTE
    assert made.saving < 0.1


def test_too_few_prompts_ask_for_more() -> None:
    made = certified(examples(80, seed=16), Promise())
    assert made.verdict is Verdict.NEED_MORE
    assert made.needed is not None
    assert 160 <= made.needed < 20_000


def test_a_cheap_model_that_is_as_good_takes_everything() -> None:
    chances = {"law": (0.9, 0.9), "riddles": (0.95, 0.9)}
    train, calibration = (examples(2500, seed=seed, chances=chances) for seed in (17, 18))
    made = certified(calibration, Promise(epsilon=0.03), train)
    assert made.verdict is Verdict.ROUTE
    assert made.saving > 0.9


def test_of_several_tiers_the_error_is_shared_and_the_best_is_taken() -> None:
    def three(seed: int, count: int) -> Examples:
        pair = examples(count, seed=seed)
        useless = np.zeros((count, 1))
        success = np.concatenate([pair.success, useless], axis=1)[:, [2, 0, 1]]
        cost = np.concatenate([pair.cost_usd, pair.cost_usd[:, :1] / 2], axis=1)[:, [2, 0, 1]]
        return replace(pair, models=("useless", "weak", "strong"), success=success, cost_usd=cost)

    made = certified(three(20, 1500), Promise(epsilon=0.03), three(19, 800))
    assert made.verdict is Verdict.ROUTE
    assert "weak" in made.models
    alone = certified(examples(1500, seed=20), Promise(epsilon=0.03), examples(800, seed=19))
    assert made.saving == pytest.approx(alone.saving, abs=0.12)
    assert made.promise.error == 0.05


def test_the_worth_is_of_the_cost_per_success() -> None:
    assert net(0.2, 0.0, 0.8) == pytest.approx(0.2)
    assert net(0.2, 0.16, 0.8) == pytest.approx(0.0)  # a fifth of the cost, and a fifth of the successes
    assert net(0.9, 0.8, 0.8) == -np.inf
