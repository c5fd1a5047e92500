"""What LiteLLM's own config states of a deployment's price (`input_cost_per_token` and the like)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import litellm

_STATES = ("input_cost_per_token", "output_cost_per_token")


def stated(deployment: str) -> Mapping[str, Any] | None:
    """The row that LiteLLM itself bills this deployment by; None where its config states no price for it.

    LiteLLM keeps one under each deployment's id, and the list's price for what the config leaves out (cache reads).
    """
    row = litellm.model_cost.get(deployment)
    if not isinstance(row, dict) or all(row.get(name) is None for name in _STATES):
        return None
    found = ((name, value) for name, value in row.items() if value is not None)  # LiteLLM names what it could say
    return {name: Decimal(repr(value)) if isinstance(value, float) else value for name, value in found}
