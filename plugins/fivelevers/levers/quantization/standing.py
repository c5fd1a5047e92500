"""Whether a quantised deployment may have traffic: what it was registered for still has to be what is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.levers.quantization.deployments import PRICES, registration_of
from fivelevers.levers.quantization.gated import Gated, Served, priced, void


def unfit(one: Mapping[str, Any], found: Gated, registration: str, served: Served | None) -> str | None:
    """Why not; None where it may. ``one``: a deployment of LiteLLM's. ``registration``: the name of ``found``, as
    deployments are bound to it. ``served``: what its server says of itself, None where that was not heard lately.
    """
    bound = registration_of(one)
    if bound != registration:
        return f"it is registered by {bound}, and the policy names {registration}"
    prices = prices_of(one)
    missing = [name for name in priced(found.rates) if name not in prices]
    if missing:
        return f"it has no {', '.join(missing)}: it would cost nothing"
    if served is None:
        return "its server was not heard"
    return void(found, served, prices)


def prices_of(one: Mapping[str, Any]) -> dict[str, object]:
    """What its tokens cost, by the names of LiteLLM's config."""
    places = [place for name in ("litellm_params", "model_info") if isinstance(place := one.get(name), Mapping)]
    stated = {name: [place[name] for place in places if place.get(name) is not None] for name in PRICES}
    return {name: values[0] for name, values in stated.items() if values}
