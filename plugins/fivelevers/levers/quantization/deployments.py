"""Which deployments of a group serve a quantised model that was gated, and how one is written down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fivelevers.levers.quantization.gated import Gated, priced

REGISTRATION: Final = "fivelevers_fp8"
"""In the ``model_info`` of a deployment: the registration that it was gated by, 12 hex digits."""
NAMES: Final = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")


def deployment(
    found: Gated, registration: str, group: str, *, url: str = "", replica: int = 0, key: str = ""
) -> dict[str, Any]:
    """As it stands in ``model_list``: one replica. ``url``: of its server; empty: of the one that was gated. ``key``:
    how LiteLLM's config has the server's key; empty: it asks for none.
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
        "model_info": {"id": f"{group}-fp8-{registration}-{replica}", REGISTRATION: registration},
    }


def registration_of(one: Mapping[str, Any]) -> str | None:
    """None on every deployment that is no quantised one."""
    info = one.get("model_info")
    found = info.get(REGISTRATION) if isinstance(info, Mapping) else None
    return str(found) if found else None


def unpriced(deployments: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The self-hosted ones whose tokens cost nothing in LiteLLM, since nobody said what they cost."""
    return [one for one in deployments if _own(one) and not any(_stated(one, name) for name in NAMES[:2])]


def _own(one: Mapping[str, Any]) -> bool:
    params = one.get("litellm_params")
    return isinstance(params, Mapping) and str(params.get("model", "")).startswith("hosted_vllm/")


def _stated(one: Mapping[str, Any], name: str) -> bool:
    places = (one.get("litellm_params"), one.get("model_info"))
    return any(isinstance(place, Mapping) and place.get(name) is not None for place in places)
