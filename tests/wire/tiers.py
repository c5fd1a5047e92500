"""Groups that hold a cheap and a strong model, and routes on which the artifact decides between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fivelevers.stores import route_artifact
from tests.unit.levers.routing.test_artifact import ARTIFACT

FILE = "tiers.route"
EASY, HARD = "hello friend nice day", "statute court appeal clause"
GPT, CLAUDE, WATCHED = "tiers-gpt", "tiers-claude", "watched-tiers"
# By group: the names in the ledger of the model that is asked what is easy, and what is hard.
MODELS_OF = {
    GPT: ("gpt-4.1-nano", "gpt-4.1"),
    CLAUDE: ("claude-haiku-4-5", "claude-sonnet-4-5"),
    WATCHED: ("gpt-4.1-nano", "gpt-4.1"),
}


def _route(name: str, model: str, mode: str) -> dict[str, Any]:
    settled = {lever: {"mode": "does-not-pay"} for lever in ("prompt_cache", "semantic_cache", "batch")}
    levers = {**settled, "routing": {"mode": mode, "artifact": FILE}}
    return {"name": name, "match": {"model": model}, "holdout": 0, "levers": levers}


ROUTES: list[dict[str, Any]] = [_route("tiers", "tiers-*", "on"), _route("watched-tiers", WATCHED, "shadow")]
for _one in ROUTES:
    _one["levers"]["routing"] |= {"watch_share": 0.0, "pair_share": 1.0}


def _deployment(group: str, model: str, called: str) -> dict[str, Any]:
    provider = "ANTHROPIC" if group == CLAUDE else "OPENAI"
    return {
        "model_name": group,
        "litellm_params": {
            "model": f"{provider.lower()}/{model}",
            "api_base": f"os.environ/{provider}_API_BASE",
            "api_key": f"os.environ/{provider}_API_KEY",
        },
        "model_info": {"id": f"{group}-{called}", "fivelevers_model": called},
    }


MODELS: list[dict[str, Any]] = [
    _deployment(group, model, called)
    for group, models in MODELS_OF.items()
    for model, called in zip(models, ("weak", "strong"), strict=True)
]


def write(folder: Path) -> None:
    """The artifact, beside the policy that names it."""
    route_artifact.write(folder / FILE, ARTIFACT)
