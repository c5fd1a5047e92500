"""Which deployments of a group serve a quantised model that was gated, and how one is written down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fivelevers.levers.quantization.gated import Gated, priced
from fivelevers.levers.routing.deployments import NAME, name_of, names_of

REGISTRATION: Final = "fivelevers_fp8"
"""In the ``model_info`` of a deployment: the registration that it was gated by, 12 hex digits."""
PRICES: Final = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")


def deployment(
    found: Gated,
    registration: str,
    group: str,
    *,
    original: str = "",
    url: str = "",
    replica: int = 0,
    key: str = "",
) -> dict[str, Any]:
    """As it stands in ``model_list``: one replica. ``original``: what lever 4 calls its original. ``url``: of its
    server; empty: of the one that was gated. ``key``: how LiteLLM's config has the server's key; empty: it asks for
    none.
    """
    params: dict[str, Any] = {
        "model": f"hosted_vllm/{found.candidate.model}",
        "api_base": f"{url or found.candidate.url}/v1",
        **({"api_key": key} if key else {}),
        **priced(found.rates),
    }
    return {
        "model_name": group,
        "litellm_params": params,
        "model_info": {
            "id": f"{group}-fp8-{registration}-{replica}",
            REGISTRATION: registration,
            NAME: original or f"hosted_vllm/{found.baseline.model}",
        },
    }


def original_of(found: Gated, originals: Iterable[Mapping[str, Any]]) -> str | None:
    """What lever 4 calls the original that was gated: of the group's that at its server, else that of its name.

    None where the group has none, or several that lever 4 tells apart.
    """
    mine, gated = list(originals), found.baseline
    there = [one for one in mine if server_of(one) == (gated.url, gated.model)]
    called = [one for one in mine if gated.model in names_of(one) | {_asked_as(one)}]
    names = {name_of(one) for one in there or called}
    return names.pop() if len(names) == 1 else None


def registration_of(one: Mapping[str, Any]) -> str | None:
    """None on every deployment that is no quantised one."""
    info = one.get("model_info")
    found = info.get(REGISTRATION) if isinstance(info, Mapping) else None
    return str(found) if found else None


def unpriced(deployments: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The self-hosted ones whose tokens cost nothing in LiteLLM, since nobody said what they cost."""
    return [one for one in deployments if _own(one) and not any(_stated(one, name) for name in PRICES[:2])]


def _own(one: Mapping[str, Any]) -> bool:
    params = one.get("litellm_params")
    return isinstance(params, Mapping) and str(params.get("model", "")).startswith("hosted_vllm/")


def _stated(one: Mapping[str, Any], name: str) -> bool:
    places = (one.get("litellm_params"), one.get("model_info"))
    return any(isinstance(place, Mapping) and place.get(name) is not None for place in places)


def server_of(one: Mapping[str, Any]) -> tuple[str, str]:
    """(address without `/v1`, model as it is asked for) of a deployment; ("", "") where it names no server."""
    params = one.get("litellm_params")
    if not isinstance(params, Mapping) or not params.get("api_base"):
        return "", ""
    return str(params["api_base"]).rstrip("/").removesuffix("/v1"), _asked_as(one)


def _asked_as(one: Mapping[str, Any]) -> str:
    params = one.get("litellm_params")
    return str(params.get("model") or "").partition("/")[2] if isinstance(params, Mapping) else ""
