"""Aliases that hold an original and its quantised model, and routes that ramp it, for the one proxy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fivelevers.levers.quantization.deployments import deployment, original_of
from fivelevers.levers.quantization.gated import Gated, Served
from fivelevers.stores import gated
from tests.unit.levers.quantization.registered import GATED
from tests.wire import tiers

RAMPED, HELD, STALE, ROUTED = "ramped-llama", "held-llama", "stale-llama", "routed-llama"
FILE, STALE_FILE = "ramped.fp8", "stale.fp8"
FP8, BF16, SMALL = "llama-fp8", "llama-bf16", "llama-small"  # replicas of the simulator, which go by these names
PRICE = {"input_cost_per_token": 3e-7, "output_cost_per_token": 1.2e-6, "cache_read_input_token_cost": 3e-8}


def _route(model: str, file: str, **more: Any) -> dict[str, Any]:
    settled = {lever: {"mode": "does-not-pay"} for lever in ("prompt_cache", "semantic_cache", "batch", "routing")}
    levers = {**settled, "quantization": {"mode": "on", "registration": file}}
    return {"name": model, "match": {"model": model}, "holdout": 0, "levers": levers, **more}


ROUTES: list[dict[str, Any]] = [
    _route(RAMPED, FILE),
    _route(HELD, FILE, holdout=0.5),
    _route(STALE, STALE_FILE),
    _route(ROUTED, FILE),
]
ROUTES[-1]["levers"]["routing"] = {"mode": "on", "artifact": tiers.FILE, "watch_share": 0.0, "pair_share": 0.0}


def write(folder: Path, simulator_url: str) -> list[dict[str, Any]]:
    """Two registrations beside the policy, one of a version that the server has left; the deployments of both."""
    served = Served(f"{simulator_url}/replica/{FP8}", FP8, f"/models/{FP8}", "0.23.0")
    rows = [_original(group, simulator_url) for group in (RAMPED, HELD, STALE)]
    gated_one = replace(GATED, baseline=Served(f"{simulator_url}/replica/{BF16}", BF16, f"/models/{BF16}", "0.23.0"))
    good, stale = replace(gated_one, candidate=served), replace(GATED, candidate=replace(served, version="0.22.1"))
    rows += _registered(folder / FILE, good, RAMPED, HELD)
    rows += _registered(folder / STALE_FILE, stale, STALE)
    return rows + _tiers(folder / FILE, good, simulator_url)


def _tiers(path: Path, found: Gated, simulator_url: str) -> list[dict[str, Any]]:
    """A small model, a large one, and the quantised large one, named as `fivelevers fp8 register` names it."""
    small, large = _original(ROUTED, simulator_url, SMALL), _original(ROUTED, simulator_url)
    small["litellm_params"] |= {name: usd / 10 for name, usd in PRICE.items()}
    small["model_info"]["fivelevers_model"], large["model_info"]["fivelevers_model"] = "weak", "strong"
    called = original_of(found, [small, large])
    assert called == "strong"
    return [small, large, deployment(found, gated.name_of(path), ROUTED, original=called)]


def _registered(path: Path, found: Gated, *groups: str) -> list[dict[str, Any]]:
    gated.write(path, found)
    return [deployment(found, gated.name_of(path), group) for group in groups]


def _original(group: str, simulator_url: str, model: str = BF16) -> dict[str, Any]:
    there = {"model": f"hosted_vllm/{model}", "api_base": f"{simulator_url}/replica/{model}/v1"}
    return {"model_name": group, "litellm_params": {**there, **PRICE}, "model_info": {"id": f"{group}-{model}"}}
