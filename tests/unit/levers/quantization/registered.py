"""A gate that passed, and the deployment that is registered by it, for tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fivelevers.levers.quantization.deployments import deployment
from fivelevers.levers.quantization.gated import Gated, Served
from fivelevers.levers.quantization.pricing import Rates
from fivelevers.levers.quantization.verdict import Verdict

SERVED = Served("http://fp8:8000", "llama-fp8", "/models/llama-fp8", "0.23.0")
GATED = Gated(
    made_at=1_700_000_000.0,
    route="chat",
    quality=Verdict.PASS,
    economics=Verdict.PASS,
    findings=(("margin", Verdict.PASS, "+0.00%"),),
    baseline=Served("http://bf16:8000", "llama", "/models/llama", "0.23.0"),
    candidate=SERVED,
    checkpoint="ab" * 32,
    scheme="FP8 W8A8, dynamic activations",
    gpu="H100 SXM",
    items=1200,
    item_hash="cd" * 32,
    difference=0.0,
    low=-0.012,
    margin=0.02,
    lost=(),
    won=(),
    saving=0.3,
    rates=Rates(Decimal("2e-7"), Decimal("8e-7"), Decimal("2e-8"), 0.02),
    baseline_rates=Rates(Decimal("3e-7"), Decimal("1.2e-6"), Decimal("3e-8"), 0.02),
)
NAME = "0123456789ab"


def quantised(name: str = NAME, group: str = "llama", **params: Any) -> dict[str, Any]:
    made = deployment(GATED, name, group)
    kept = {key: value for key, value in {**made["litellm_params"], **params}.items() if value is not None}
    return {**made, "litellm_params": kept}


def original(group: str = "llama", name: str = "bf16") -> dict[str, Any]:
    params = {"model": "hosted_vllm/llama", "api_base": "http://bf16:8000/v1"}
    return {"model_name": group, "litellm_params": params, "model_info": {"id": name}}
