"""Aliases whose deployment is `fivelevers/cascade`, and routes that say how their weak answers are looked at."""

from __future__ import annotations

from typing import Any

from tests.wire.caching import ANTHROPIC, OPENAI

SCHEMA, CHECKED, AGREED, SHADOW, DEAR, CLAUDE, HASTY, BROKEN, STRAY, LOST = ALIASES = tuple(
    f"cascade-{name}"
    for name in ("schema", "checked", "agreed", "shadow", "dear", "claude", "hasty", "broken", "stray", "lost")
)
PROVIDER_MAP = [{"provider": "fivelevers", "custom_handler": "fivelevers.proxies.litellm.cascade.handler"}]
_UPSTREAM = {
    "weak-gpt": ("openai/gpt-4.1-nano", OPENAI),
    "second-gpt": ("openai/gpt-4o-mini", OPENAI),
    "strong-gpt": ("openai/gpt-4.1", OPENAI),
    "weak-claude": ("anthropic/claude-haiku-5-5", ANTHROPIC),
    "strong-claude": ("anthropic/claude-sonnet-4-5", ANTHROPIC),
}
MODELS: list[dict[str, Any]] = [
    *({"model_name": alias, "litellm_params": {"model": "fivelevers/cascade"},
       "model_info": {} if alias == LOST else {"fivelevers_strong": "strong-gpt"}}
      for alias in ALIASES),
    *({"model_name": name, "litellm_params": {"model": model, **upstream}, "model_info": {"id": f"{name}-deployment"}}
      for name, (model, upstream) in _UPSTREAM.items()),
]  # fmt: skip


def _route(model: str, mode: str = "on", validators: Any = (), **cascade: Any) -> dict[str, Any]:
    settled = {lever: {"mode": "does-not-pay"} for lever in ("prompt_cache", "semantic_cache", "batch")}
    cascade = {"weak": "weak-gpt", "strong": "strong-gpt", **cascade}
    levers = {**settled, "routing": {"mode": mode, "cascade": cascade}}
    return {"name": model, "match": {"model": model}, "holdout": 0, "levers": levers, "validators": list(validators)}


NUMBER = [{"regex": r"\d"}]
ROUTES: list[dict[str, Any]] = [
    _route(SCHEMA, verify=["schema"]),
    _route(CHECKED, verify=["validators"], validators=NUMBER),
    _route(AGREED, verify=["agreement"], agrees_with="second-gpt", max_cost_ratio=0.2),
    _route(SHADOW, mode="shadow", verify=["validators"], validators=NUMBER),
    _route(DEAR, verify=["validators"], validators=NUMBER, max_cost_ratio=0.01),
    _route(HASTY, verify=["validators"], validators=NUMBER, timeout_s=1.5),
    _route(BROKEN, verify=["validators"], validators=[{"python": "tests.wire.cascades:missing"}]),
    _route(CLAUDE, verify=["validators"], validators=NUMBER, weak="weak-claude", strong="strong-claude"),
]
