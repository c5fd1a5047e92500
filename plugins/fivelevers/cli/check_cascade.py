"""What `fivelevers check` says of cascades: models that are not there, and aliases that nobody could answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fivelevers.errors import Problem
from fivelevers.levers.routing.deployments import CASCADE, STRONG
from fivelevers.policy.globs import compiled

if TYPE_CHECKING:
    from fivelevers.policy import Policy, Route

Groups = Mapping[str, list[Mapping[str, Any]]]
"""Deployments by model alias, of LiteLLM's config."""


def cascade_warnings(policy: Policy, groups: Groups) -> Iterator[Problem]:
    """``groups``: empty where no config was named, of which nothing can be said then."""
    if not groups:
        return
    for route in policy.routes:
        if route.levers.routing.cascade is not None:
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


def _model(deployment: Mapping[str, Any]) -> object:
    params = deployment.get("litellm_params")
    return params.get("model") if isinstance(params, Mapping) else None


def _info(deployment: Mapping[str, Any]) -> Mapping[str, Any]:
    info = deployment.get("model_info")
    return info if isinstance(info, Mapping) else {}
