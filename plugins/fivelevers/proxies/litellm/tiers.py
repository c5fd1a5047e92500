"""The models of a group of deployments, as an artifact names them, and what each of them can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fivelevers.engine import Payee
from fivelevers.levers.quantization.deployments import registration_of
from fivelevers.levers.routing.deployments import names_of
from fivelevers.prices import PriceBook
from fivelevers.proxies.litellm.reading import fingerprint, mapping, named


@dataclass(frozen=True, slots=True)
class Tier:
    """One deployment of ``model``, the name that the artifact has for it. ``about``: the map's entry for it, with the
    deployment's own ``model_info`` over it."""

    model: str
    payee: Payee
    provider_key: str | None
    region: str | None
    about: Mapping[str, Any]


def tiers_of(deployments: Iterable[Mapping[str, Any]], models: Iterable[str], prices: PriceBook) -> dict[str, Tier]:
    """By deployment id, quantised ones last; deployments that are none of ``models`` are left out."""
    known = list(models)
    found = {}
    for deployment in sorted(deployments, key=lambda one: registration_of(one) is not None):
        names = names_of(deployment)
        model = next((one for one in known if one in names), None)
        if model is not None:
            found[id_of(deployment)] = _tier(deployment, model, prices)
    return found


def id_of(deployment: Mapping[str, Any]) -> str:
    return str(mapping(deployment.get("model_info")).get("id") or "")


def payee_of(deployment: Mapping[str, Any]) -> Payee:
    info, params = mapping(deployment.get("model_info")), mapping(deployment.get("litellm_params"))
    called, provider = named(
        str(info.get("base_model") or params.get("model") or ""), params.get("custom_llm_provider")
    )
    return Payee(called, provider, id_of(deployment) or None)


def _tier(deployment: Mapping[str, Any], model: str, prices: PriceBook) -> Tier:
    info, params = mapping(deployment.get("model_info")), mapping(deployment.get("litellm_params"))
    payee = payee_of(deployment)
    own = {key: value for key, value in info.items() if value is not None}
    return Tier(
        model=model,
        payee=payee,
        provider_key=fingerprint(params.get("api_key")),
        region=params.get("region_name"),
        about={**prices.row(payee.model, provider=payee.provider), **own},
    )
