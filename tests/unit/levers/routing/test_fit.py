"""A fitted model knows its routes, prefers what is likelier to be right, and admits what it does not know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.fit import SHRINK, crossed, fit
from tests.unit.levers.routing.made_up import CHANCES, examples

LABELLED = examples(1500, seed=1)
MODEL = fit(LABELLED)


def test_chances_are_near_the_truth() -> None:
    new = examples(300, seed=2)
    found = MODEL.all_success(new.features, new.routes)
    truth = np.array([CHANCES[route] for route in new.routes])
    assert np.abs(found - truth).mean() < 0.06
    assert ((found > 0) & (found < 1)).all()


def test_a_route_without_labels_is_unknown() -> None:
    assert MODEL.success(features_of("hello"), "taxes") is None
    assert np.isnan(MODEL.all_success([features_of("hello")], ["taxes"])).all()


def test_a_route_with_few_labels_stays_near_all_routes() -> None:
    few = examples(400, seed=3)
    few = few.take(np.array([at for at, route in enumerate(few.routes) if route != "law"] + [few.routes.index("law")]))
    made = fit(few)
    right = few.success.sum(axis=0)
    prior = (right + 1) / (len(few) + 2)
    assert made.shrunk[made.routes["law"]] == pytest.approx((few.success[-1] + SHRINK * prior) / (1 + SHRINK))


def test_costs_follow_the_length_of_the_prompt() -> None:
    assert MODEL.cost_usd("law", 400) == pytest.approx([0.02e-4 * 500, 1e-4 * 500], rel=1e-6)
    assert MODEL.cost_usd("taxes", 400) is None
    assert (MODEL.all_costs_usd(["law", "riddles"], np.zeros(2)) >= 0).all()


def test_costs_follow_the_route_as_far_as_it_is_known() -> None:
    labelled = examples(900, seed=6)
    dearer = np.array([route == "law" for route in labelled.routes])
    made = fit(replace(labelled, cost_usd=labelled.cost_usd + 1e-3 * dearer[:, None]))
    law, riddles = (made.cost_usd(route, 100) for route in ("law", "riddles"))
    assert law is not None
    assert riddles is not None
    assert law - riddles == pytest.approx([1e-3, 1e-3], rel=0.1)
    assert (law - riddles < 1e-3).all()


def test_crossed_beliefs_do_not_know_the_label() -> None:
    noise = examples(600, seed=4, chances={"law": (0.5, 0.5)})
    beliefs, fitted = crossed(noise), fit(noise).all_success(noise.features, noise.routes)
    assert np.corrcoef(fitted[:, 0], noise.success[:, 0])[0, 1] > 0.1
    assert abs(np.corrcoef(beliefs[:, 0], noise.success[:, 0])[0, 1]) < 0.1


def test_where_all_is_right_the_weights_stay_finite() -> None:
    made = fit(examples(50, seed=5, chances={"law": (1.0, 1.0)}))
    assert np.isfinite(made.weights.words).all()
    assert np.isfinite(made.weights.constant).all()
    empty = features_of("")
    found = made.success(empty, "law")
    assert found is not None
    assert (found > 0.9).all()
