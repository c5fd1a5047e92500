"""Aliases and routes of the batch lane, for the session-wide proxy."""

from __future__ import annotations

from typing import Any

import httpx

from tests.wire.caching import ANTHROPIC, OPENAI
from tests.wire.proxy import Proxy

MINI, CLAUDE, EMBEDDING, SHADOW = "batch-mini", "batch-claude", "batch-embedding", "batch-shadow-mini"
PIPELINE, STORED, KEYED = "pipeline-mini", "batch-stored-mini", "batch-keyed-mini"
SLOW = "batch-slow-mini"  # nothing of it is sent while the tests run
MODELS = [
    {"model_name": name, "litellm_params": {"model": model, **upstream}, "model_info": {"id": f"{name}-deployment"}}
    for name, model, upstream in (
        (MINI, "openai/gpt-4.1-mini", OPENAI),
        (CLAUDE, "anthropic/claude-haiku-4-5", ANTHROPIC),
        (EMBEDDING, "openai/text-embedding-3-small", OPENAI),
        (SHADOW, "openai/gpt-4.1-mini", OPENAI),
        (PIPELINE, "openai/gpt-4.1-mini", OPENAI),
        (STORED, "openai/gpt-4.1-mini", OPENAI),
        (KEYED, "openai/gpt-4.1-mini", OPENAI),
        (SLOW, "openai/gpt-4.1-mini", OPENAI),
    )
]


SOON = {"FIVELEVERS_LANE_POLL_S": "1"}


def takes(proxy: Proxy, seconds: float) -> None:
    """What every batch of the simulator takes from now on."""
    httpx.post(f"{proxy.stack.simulator_url}/sim/batches", json={"seconds": seconds}).raise_for_status()


def _route(name: str, match: str, mode: str = "on", tenant: str = "team", levers: Any = None, **batch: Any) -> Any:
    acts = {"batch": {"mode": mode, "flush_age_s": 0.5, "inspect": "body", **batch}, **(levers or {})}
    return {"name": name, "match": {"model": match}, "holdout": 0, "tenant": tenant, "levers": acts}


ROUTES = [
    _route("batch-shadow", SHADOW, mode="shadow"),
    _route("batch-stored", STORED, levers={"semantic_cache": {"mode": "on", "tier": "exact", "deadline_ms": 1000}}),
    _route("batch-keyed", KEYED, tenant="key"),
    _route("batch-slow", SLOW, flush_age_s=3600),
    _route("batch", "batch-*"),
    _route("pipeline", "pipeline-*", opt_in="route"),
]
