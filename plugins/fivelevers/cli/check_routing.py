"""What `fivelevers check` says of lever 4: artifacts that can not be used, and groups that lack what they name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivelevers.cli.logs import price_book
from fivelevers.errors import PriceError, Problem
from fivelevers.levers.routing.deployments import names_of
from fivelevers.order import Mode
from fivelevers.policy.globs import compiled
from fivelevers.prices import PriceBook

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact
    from fivelevers.policy import Policy, Route
    from fivelevers.stores.route_artifacts import Loaded

Groups = Mapping[str, list[Mapping[str, Any]]]
"""Deployments by model alias."""

_FIT = "fit one with `fivelevers route fit`"


def routing_warnings(policy: Policy, folder: Path, groups: Groups) -> Iterator[Problem]:
    """``folder``: of the policy file. ``groups``: of LiteLLM's config, empty where none was named."""
    from fivelevers.stores.route_artifacts import Loaded, load

    prices, known = prices_now(), dict[str, Loaded]()
    for route in policy.routes:
        switch = route.levers.routing
        if switch.artifact is not None and switch.artifact not in known:
            known[switch.artifact] = load(folder / switch.artifact, prices)
        loaded = Loaded(None) if switch.artifact is None else known[switch.artifact]
        acts = switch.mode in (Mode.ON, Mode.SHADOW) and switch.cascade is None
        if acts:
            yield from _of_artifact(route, loaded)
        if acts or switch.artifact is not None:
            yield from _of_groups(route, loaded.artifact, groups)


def groups_of(configs: list[Any]) -> Groups:
    """``configs``: LiteLLM's config and those that it includes, as read."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for config in configs:
        models = config.get("model_list") if isinstance(config, Mapping) else None
        for deployment in models if isinstance(models, list) else ():
            if isinstance(deployment, Mapping):
                found.setdefault(str(deployment.get("model_name")), []).append(deployment)
    return found


def _of_artifact(route: Route, loaded: Loaded) -> Iterator[Problem]:
    switch = route.levers.routing
    place, artifact = f"routes.{route.name}.levers.routing", loaded.artifact
    if switch.artifact is None:
        alone = f"{switch.strong} alone answers" if switch.strong else "LiteLLM balances over all models of a group"
        yield Problem(f"{place}.mode", switch.mode.value, f"has no artifact to decide by: {alone}", _FIT)
    elif loaded.problem is not None:
        alone = "the strong model alone answers" if artifact or switch.strong else "LiteLLM balances over all models"
        yield Problem(f"{place}.artifact", switch.artifact, f"can not be used, {alone}: {loaded.problem}", _fix(loaded))
    elif artifact is not None:
        yield from of_certificate(route, f"{place}.artifact", switch.artifact, artifact)


def _fix(loaded: Loaded) -> str:
    return _FIT if loaded.artifact is None else "prove it anew with `fivelevers route certify`"


def of_certificate(route: Route, place: str, name: str, artifact: Artifact) -> Iterator[Problem]:
    """What keeps an artifact that can be read from deciding. ``place``: in the policy, ``name``: as it stands there."""
    from fivelevers.levers.routing.certify import Verdict

    made = artifact.certificate
    if made.verdict is not Verdict.ROUTE:
        rule = f"says {made.verdict.value}: the strong model alone answers"
        yield Problem(place, name, rule, "label more, or settle the lever: does-not-pay")
    if route.name not in artifact.model.routes:
        known = ", ".join(sorted(artifact.model.routes))
        rule = f"knows nothing of {route.name}: only requests that name one of {known} are routed"
        fix = "label prompts of this route, or send the header x-fivelevers-task"
        yield Problem(place, name, rule, fix)


def _of_groups(route: Route, artifact: Artifact | None, groups: Groups) -> Iterator[Problem]:
    """Groups on this route that hold some of the artifact's models and lack others; and where none holds two."""
    if artifact is None:
        return
    models, holds = artifact.model.models, 0
    for alias, deployments in groups.items():
        if route.match.model is not None and compiled(route.match.model).match(alias) is None:
            continue
        there = {model for model in models if any(model in names_of(one) for one in deployments)}
        holds = max(holds, len(there))
        missing = [model for model in models if model not in there]
        if there and missing and (len(there) > 1 or artifact.certificate.strong in missing):
            yield Problem("model_list", alias, f"has no deployment of {', '.join(missing)}", _ADD)
    if groups and holds < 2:
        rule = f"routes between {' and '.join(models)}, which no group on this route holds together"
        yield Problem(f"routes.{route.name}.levers.routing.artifact", route.levers.routing.artifact, rule, _ADD)


_ADD = "give the alias a deployment of each, or say with model_info.fivelevers_model which is which"


def prices_now() -> PriceBook:
    """Without LiteLLM no price is known, and none can have changed."""
    try:
        return price_book(os.environ.get("FIVELEVERS_PRICES", ""), "")
    except PriceError:
        return PriceBook({})
