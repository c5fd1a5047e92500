"""Aliases with several deployments each, and a route on which a prefix stays where it is, for the one proxy."""

from __future__ import annotations

from typing import Any

LLAMA, CLAUDE = "pinned-llama", "pinned-claude"
ROUTES: list[dict[str, Any]] = [
    {
        "name": "pinned",
        "match": {"model": "pinned-*"},
        "holdout": 0,
        "levers": {"prompt_cache": {"mode": "on", "affinity": "on"}},
    }
]


def models(simulator_url: str) -> list[dict[str, Any]]:
    """Two replicas, and two workspaces at a provider."""
    replicas = [
        {
            "model_name": LLAMA,
            "litellm_params": {"model": "hosted_vllm/llama", "api_base": f"{simulator_url}/replica/{name}/v1"},
            "model_info": {"id": f"replica-{name}", "fivelevers_kv_tokens": 100_000},
        }
        for name in ("one", "two")
    ]
    workspaces = [
        {
            "model_name": CLAUDE,
            "litellm_params": {
                "model": "anthropic/claude-sonnet-4-5",
                "api_base": "os.environ/ANTHROPIC_API_BASE",
                "api_key": f"sk-ant-simulated-{name}",
            },
            "model_info": {"id": f"workspace-{name}"},
        }
        for name in ("one", "two", "three")
    ]
    return [*replicas, *workspaces]
