"""Aliases and a route on which lever 1 is on, for the session-wide proxy."""

from __future__ import annotations

import json
from typing import Any

CLAUDE, GPT, AUTOMATIC, ELSEWHERE = "caching-claude", "caching-gpt-5.6", "caching-gpt-4.1", "caching-elsewhere"
SHADOW = "shadowing-claude"
OPENAI = {"api_base": "os.environ/OPENAI_API_BASE", "api_key": "os.environ/OPENAI_API_KEY"}
ANTHROPIC = {"api_base": "os.environ/ANTHROPIC_API_BASE", "api_key": "os.environ/ANTHROPIC_API_KEY"}
MODELS = [
    {"model_name": name, "litellm_params": {"model": model, **upstream}}
    for name, model, upstream in (
        (CLAUDE, "anthropic/claude-sonnet-4-5", ANTHROPIC),
        (SHADOW, "anthropic/claude-sonnet-4-5", ANTHROPIC),
        (GPT, "openai/gpt-5.6", OPENAI),
        (AUTOMATIC, "openai/gpt-4.1", OPENAI),
        # Each of their models refuses marks in one test, and is quarantined from then on.
        ("refused-chat", "anthropic/claude-opus-4-5", ANTHROPIC),
        ("refused-messages", "anthropic/claude-opus-4-6", ANTHROPIC),
        ("refused-responses", "anthropic/claude-sonnet-4-6", ANTHROPIC),
        (ELSEWHERE, "hosted_vllm/gpt-4.1", OPENAI),  # speaks OpenAI's API, and is not OpenAI
    )
]
ROUTES: list[dict[str, Any]] = [
    {"name": "refused", "match": {"model": "refused-*"}, "holdout": 0, "levers": {"prompt_cache": {"mode": "on"}}},
    {"name": "caching", "match": {"model": "caching-*"}, "holdout": 0, "levers": {"prompt_cache": {"mode": "on"}}},
    {"name": "shadow", "match": {"model": "shadowing-*"}, "holdout": 0, "levers": {"prompt_cache": {"mode": "shadow"}}},
]
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
_SCHEMA = {"type": "object", "properties": {"parcel": {"type": "integer"}}, "required": ["parcel"]}
_ABOUT = {"name": "look_up", "description": "Looks a parcel up."}
FIELDS = {"cache_control", "prompt_cache_breakpoint", "prompt_cache_options", "prompt_cache_key"}


def conversation(api: str, model: str, system: str, *, stream: bool) -> dict[str, Any]:
    """Two turns with a tool call, in the shape of an API."""
    body: dict[str, Any] = {"model": model, "stream": stream}
    arguments, result = '{"parcel": 4711}', "It lies in Ghent."
    if api == "chat":
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": arguments}}
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": "Where is parcel 4711?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": result},
            {"role": "user", "content": [{"type": "text", "text": "What is 2 + 3?"}]},
        ]
        tools = [{"type": "function", "function": {**_ABOUT, "parameters": _SCHEMA}}]
        return {**body, "messages": messages, "tools": tools}
    if api == "messages":
        messages = [
            {"role": "user", "content": "Where is parcel 4711?"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": json.loads(arguments)}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": result},
                {"type": "text", "text": "What is 2 + 3?"}]},
        ]  # fmt: skip
        tools = [{**_ABOUT, "input_schema": _SCHEMA}]
        return {**body, "system": system, "messages": messages, "tools": tools, "max_tokens": 300}
    items = [
        {"role": "user", "content": "Where is parcel 4711?"},
        {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": arguments},
        {"type": "function_call_output", "call_id": "call_1", "output": result},
        {"role": "user", "content": [{"type": "input_text", "text": "What is 2 + 3?"}]},
    ]
    tools = [{"type": "function", **_ABOUT, "parameters": _SCHEMA}]
    return {**body, "instructions": system, "input": items, "tools": tools}


def without_cache_fields(value: Any) -> Any:
    """A body as it is without cache fields. A text block alone is the text: that is where a mark found a place."""
    if isinstance(value, list):
        bare = [without_cache_fields(each) for each in value]
        alone = bare[0] if len(bare) == 1 and isinstance(bare[0], dict) else {}
        is_text = alone.get("type") in ("text", "input_text") and set(alone) == {"type", "text"}
        return alone["text"] if is_text else bare
    if isinstance(value, dict):
        return {key: without_cache_fields(each) for key, each in value.items() if key not in FIELDS}
    return value


def marks(value: Any) -> list[Any]:
    """Every mark in a body."""
    if isinstance(value, list):
        return [found for each in value for found in marks(each)]
    if isinstance(value, dict):
        own = [value[key] for key in ("cache_control", "prompt_cache_breakpoint") if key in value]
        return own + [found for each in value.values() for found in marks(each)]
    return []
