"""Calibration of a route: split, fit, certify, report; each on prompts of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.artifact import Artifact, TokenPrice
from fivelevers.levers.routing.certify import Judged, Promise, certify, certify_at, point_of
from fivelevers.levers.routing.choose import turning_points
from fivelevers.levers.routing.examples import Examples, Floats, Rows
from fivelevers.levers.routing.features import mark_of
from fivelevers.levers.routing.fit import crossed, fit
from fivelevers.levers.routing.model import Model
from fivelevers.levers.routing.split import Split, groups_of
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
    chosen = certificate.chosen
    reported = chosen is not None and len(told.examples) > 0
    column = model.models.index(strong)
    return Artifact(
        made_at=at,
        fitted_on=len(train),
        certificate=certificate,
        model=model,
        mix=_mix(tried, column),
        prices={name: (prices or {}).get(name) for name in model.models},
        seen=np.unique(np.array([mark_of(one) for one in train.plain.features], np.uint32)),
        report=point_of(told, column, chosen.threshold, promise) if chosen is not None and reported else None,
        cascade=examples.pair is not None,
    )


def recertify(
    artifact: Artifact,
    examples: Examples,
    promise: Promise,
    *,
    prices: Mapping[str, TokenPrice] | None = None,
    at: float = 0.0,
) -> Artifact:
    """The same policies, in the same order, on prompts that were labelled since; what it was fitted to is left out.

    Near-duplicates count once. ``examples`` are a cascade's where the artifact is. Raises CalibrationError where models
    are missing or no prompt is new.
    """
    model, strong = artifact.model, artifact.certificate.strong
    missing = [name for name in model.models if name not in examples.models]
    if missing:
        raise CalibrationError(f"routing: the artifact routes to {missing[0]}, which the prompts have no labels of")
    fresh = examples.take(_fresh(artifact, examples)).only(model.models)
    if not len(fresh):
        raise CalibrationError("routing: the artifact was fitted to all of these prompts; label others")
    tried = judged(model, fresh, strong)
    thresholds = [point.threshold for point in artifact.certificate.curve]
    return replace(
        artifact,
        made_at=at,
        certificate=certify_at(thresholds, tried, strong, promise),
        mix=_mix(tried, model.models.index(strong)),
        prices={name: (prices or {}).get(name) for name in model.models},
        report=None,
        overview=None,
    )


def _fresh(artifact: Artifact, examples: Examples) -> Rows:
    prompts = examples.plain.features
    marks = np.array([mark_of(one) for one in prompts], np.uint32)
    new = ~np.isin(marks, artifact.seen)
    firsts = np.unique(groups_of(prompts), return_index=True)[1]
    return np.sort(firsts[new[firsts]])


def _mix(judged: Judged, strong: int) -> Mix:
    points = turning_points(judged.success, judged.cost_usd, strong).min(axis=1)
    return Mix.of(points.tolist())


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
    column: Floats = examples.plain.cost_usd[:, examples.models.index(strong)]
    return column
