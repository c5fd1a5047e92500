"""What a quantised deployment has to be for the registration that let it in to hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fivelevers.levers.quantization.deployments import server_of
from fivelevers.levers.quantization.gated import Served
from fivelevers.levers.quantization.standing import unfit
from tests.unit.levers.quantization.registered import GATED, NAME, SERVED, original, quantised


def test_what_was_registered_may_have_traffic() -> None:
    assert unfit(quantised(), GATED, NAME, SERVED) is None
    untold = replace(SERVED, root=None)  # a server that never told
    assert unfit(quantised(), replace(GATED, candidate=untold), NAME, untold) is None


@pytest.mark.parametrize(
    ("deployment", "served", "why"),
    [
        (quantised("ba9876543210"), SERVED, "it is registered by ba9876543210, and the policy names 0123456789ab"),
        (original(), SERVED, "it is registered by None"),
        (quantised(), None, "its server was not heard"),
        (quantised(), replace(SERVED, root="/models/llama-int4"), "serves /models/llama-int4, and /models/llama-fp8"),
        (quantised(), replace(SERVED, root=None), "the server does not say what it serves, and /models/llama-fp8"),
        (quantised(input_cost_per_token="much"), SERVED, "input_cost_per_token is much, and 2e-07 was registered"),
        (quantised(), replace(SERVED, version="0.24.0"), "is version 0.24.0, and 0.23.0 was gated"),
        (quantised(), replace(SERVED, version=None), "is version None"),
        (quantised(output_cost_per_token=9e-7), SERVED, "output_cost_per_token is 9e-07, and 8e-07 was registered"),
        (quantised(cache_read_input_token_cost=None), SERVED, "it has no cache_read_input_token_cost"),
    ],
)
def test_what_has_changed_says_why(deployment: dict[str, Any], served: Served | None, why: str) -> None:
    assert why in (unfit(deployment, GATED, NAME, served) or "")


def test_a_price_may_stand_in_the_model_info_too() -> None:
    made = quantised(input_cost_per_token=None)
    made["model_info"]["input_cost_per_token"] = "2e-7"
    assert unfit(made, GATED, NAME, SERVED) is None


def test_where_its_server_is() -> None:
    assert server_of(quantised()) == ("http://fp8:8000", "llama-fp8")
    assert server_of({"litellm_params": {"model": "openai/gpt-4.1"}}) == ("", "")
