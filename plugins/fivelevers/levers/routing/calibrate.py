"""Calibration of a route: split, fit, certify, report; each on prompts of its own."""

from __future__ import annotations

from collections.abc import Mapping

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.artifact import Artifact, TokenPrice
from fivelevers.levers.routing.certify import Judged, Promise, certify, point_of
from fivelevers.levers.routing.choose import turning_points
from fivelevers.levers.routing.examples import Examples, Floats
from fivelevers.levers.routing.fit import crossed, fit
from fivelevers.levers.routing.model import Model
from fivelevers.levers.routing.split import Split
from fivelevers.levers.routing.watch import Mix


def calibrate(
    examples: Examples,
    split: Split,
    promise: Promise,
    *,
    strong: str | None = None,
    prices: Mapping[str, TokenPrice] | None = None,
    at: float = 0.0,
) -> Artifact:
    """``strong``: the model that answers where nothing is routed; by default the one that is right most often.

    ``at``: now, in seconds since the epoch. ``prices``: what the costs of the examples were reckoned with, if known.
    Raises CalibrationError where there is nothing to learn from.
    """
    if min(len(split.train), len(split.calibration)) == 0 or len(examples.models) < 2:
        raise CalibrationError("routing: needs two models, and labelled prompts to fit and to calibrate by; label more")
    train = examples.take(split.train)
    strong = strong or strongest(train)
    model = fit(train)
    first = judged(model, examples.take(split.calibration), strong)
    certificate = certify(out_of_fold(train, model, strong), first, strong, promise)
    if certificate.models != model.models:
        model = fit(train.only(certificate.models))
    tried = judged(model, examples.take(split.calibration).only(certificate.models), strong)
    told = judged(model, examples.take(split.report).only(certificate.models), strong)
    column = model.models.index(strong)
    points = turning_points(tried.success, tried.cost_usd, column).min(axis=1)
    chosen = certificate.chosen
    reported = chosen is not None and len(told.examples) > 0
    return Artifact(
        made_at=at,
        fitted_on=len(train),
        certificate=certificate,
        model=model,
        mix=Mix.of(points.tolist()),
        prices={name: (prices or {}).get(name) for name in model.models},
        report=point_of(told, column, chosen.threshold, promise) if chosen is not None and reported else None,
    )


def strongest(examples: Examples) -> str:
    """The model that is right most often; of equals the cheapest."""
    cost = examples.cost_usd.mean(axis=0)
    right = examples.success.mean(axis=0)
    return examples.models[max(range(len(cost)), key=lambda at: (right[at], -cost[at]))]


def judged(model: Model, examples: Examples, strong: str) -> Judged:
    """What the model believes of prompts that it was not fitted to."""
    success = model.all_success(examples.features, examples.routes)
    return Judged(examples, success, model.all_costs_usd(examples.routes, examples.chars), _without(examples, strong))


def out_of_fold(examples: Examples, model: Model, strong: str) -> Judged:
    """What models that were fitted to the rest believe of each prompt. ``model`` was fitted to all: its costs count."""
    cost_usd = model.all_costs_usd(examples.routes, examples.chars)
    return Judged(examples, crossed(examples), cost_usd, _without(examples, strong))


def _without(examples: Examples, strong: str) -> Floats:
    column: Floats = examples.cost_usd[:, examples.models.index(strong)]
    return column
