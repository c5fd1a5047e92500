"""Aliases and routes on which lever 2 acts, for the session-wide proxy."""

from __future__ import annotations

from typing import Any

from tests.wire.caching import ANTHROPIC, OPENAI

GPT, CLAUDE, SHADOW, SERVING = "answering-gpt", "answering-claude", "answer-shadow-gpt", "answer-serving-gpt"
MODELS = [
    {"model_name": name, "litellm_params": {"model": model, **upstream}}
    for name, model, upstream in (
        (GPT, "openai/gpt-4.1", OPENAI),
        (CLAUDE, "anthropic/claude-sonnet-4-5", ANTHROPIC),
        (SHADOW, "openai/gpt-4.1", OPENAI),
        (SERVING, "openai/gpt-4.1", OPENAI),
    )
]
_JUDGE = {"different_below": 0.3, "same_from": 0.9}


def _route(name: str, match: str, mode: str, **settings: Any) -> dict[str, Any]:
    """Repeats mean retry: of explicit sessions alone, so of the tests that name one."""
    lever = {"mode": mode, "deadline_ms": 1000, "judge": _JUDGE, **settings}  # the machine of a test may be slow
    levers = {"semantic_cache": lever}
    return {"name": name, "match": {"model": match}, "holdout": 0, "repeat_means": "retry", "levers": levers}


ROUTES = [
    _route("answering", "answering-*", "on", wait_s=20),
    _route("answer-shadow", SHADOW, "shadow"),
    _route("answer-serving", SERVING, "on", audit_share=0.01, min_similarity=0.7),
]
