"""What `fivelevers check` says of cascades: models that are not there, scorers that can not decide, and aliases that
nobody could answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivelevers.cli.check_routing import Groups, of_certificate, prices_now
from fivelevers.errors import Problem
from fivelevers.levers.routing.deployments import CASCADE, STRONG, names_of
from fivelevers.order import Mode
from fivelevers.policy.globs import compiled

if TYPE_CHECKING:
    from fivelevers.policy import Policy, Route


def cascade_warnings(policy: Policy, folder: Path, groups: Groups) -> Iterator[Problem]:
    """``folder``: of the policy file. ``groups``: empty where no config was named, of which nothing is said then."""
    for route in policy.routes:
        switch = route.levers.routing
        if switch.mode in (Mode.ON, Mode.SHADOW):
            yield from _of_scorer(route, folder, groups)
        if switch.cascade is not None and groups:
            yield from _of_models(route, groups)
    for alias, deployments in groups.items():
        if any(_model(one) == CASCADE and not _info(one).get(STRONG) for one in deployments):
            rule = "is a cascade that fails where the policy can not be read or has no route for it"
            yield Problem("model_list", alias, rule, f"name the alias of the strong model in its model_info.{STRONG}")


def _of_models(route: Route, groups: Groups) -> Iterator[Problem]:
    cascade, place = route.levers.routing.cascade, f"routes.{route.name}.levers.routing.cascade"
    if cascade is None:
        return
    for name, alias in (("weak", cascade.weak), ("strong", cascade.strong), ("agrees_with", cascade.agrees_with)):
        if alias is not None and alias not in groups:
            known = ", ".join(sorted(groups))
            yield Problem(f"{place}.{name}", alias, "is no model of LiteLLM's config", f"name one of {known}")
    match = route.match.model
    mine = [alias for alias in groups if match is None or compiled(match).match(alias) is not None]
    if not any(_model(one) == CASCADE for alias in mine for one in groups[alias]):
        rule = f"has no alias whose deployment is {CASCADE}: nothing on this route cascades"
        yield Problem(place, match, rule, f"add one to the model_list, with `model: {CASCADE}`")


def _of_scorer(route: Route, folder: Path, groups: Groups) -> Iterator[Problem]:
    from fivelevers.stores.route_artifacts import load

    cascade, place = route.levers.routing.cascade, f"routes.{route.name}.levers.routing.cascade.artifact"
    if cascade is None or cascade.artifact is None:
        return
    loaded = load(folder / cascade.artifact, prices_now(), cascade=True)
    if loaded.problem is not None or loaded.artifact is None:
        rule = f"can not be used, {cascade.strong} alone answers: {loaded.problem}"
        yield Problem(place, cascade.artifact, rule, "fit one with `fivelevers route fit --cascade`")
        return
    yield from of_certificate(route, place, cascade.artifact, loaded.artifact)
    for alias, model in zip((cascade.weak, cascade.strong), loaded.artifact.model.models, strict=True):
        if any(model not in names_of(one) | {alias} for one in groups.get(alias, ())):
            rule = f"was fitted to {model}, which is not what {alias} holds: {cascade.strong} alone answers"
            yield Problem(place, cascade.artifact, rule, "fit it anew, or say with model_info.fivelevers_model")


def _model(deployment: Mapping[str, Any]) -> object:
    params = deployment.get("litellm_params")
    return params.get("model") if isinstance(params, Mapping) else None


def _info(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    info = deployment.get("model_info")
    return info if isinstance(info, Mapping) else {}
