"""Which model of an artifact a deployment of LiteLLM's is.

The one that its ``model_info.fivelevers_model`` says; without that, its ``litellm_params.model``. Either counts with or
without the provider's prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NAME: Final = "fivelevers_model"
CASCADE: Final = "fivelevers/cascade"
STRONG: Final = "fivelevers_strong"
"""In the ``model_info`` of a cascade: the alias that answers where no policy says how."""


def name_of(deployment: Mapping[str, Any]) -> str:
    """What a benchmark calls it."""
    own = _part(deployment, "model_info").get(NAME)
    return own if isinstance(own, str) and own else str(_part(deployment, "litellm_params").get("model") or "")


def names_of(deployment: Mapping[str, Any]) -> frozenset[str]:
    """What an artifact may call it."""
    own = _part(deployment, "model_info").get(NAME)
    if isinstance(own, str) and own:
        return frozenset({own, own.partition("/")[2] or own})
    params = _part(deployment, "litellm_params")
    model, provider = str(params.get("model") or ""), params.get("custom_llm_provider")
    names = {model, model.partition("/")[2] or model}
    return frozenset(names | {f"{provider}/{model}"} if provider else names)


def _part(deployment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = deployment.get(name)
    return value if isinstance(value, Mapping) else {}
