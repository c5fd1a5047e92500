"""Content: of which sessions a route keeps the text, and what of a request and its answer that is.

Pure; stores/content_key.py encrypts what `document` makes, stores/content.py keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from fivelevers.metering.arms import unit_interval
from fivelevers.output import Output
from fivelevers.policy import Route

# What a model reads and what shapes its answer. A list of what may be kept, because callers can put keys and headers
# into a request under more names than anybody can list.
_PROMPT = {"messages", "input", "system", "instructions", "tools", "functions", "prompt", "previous_response_id"}
_LENGTH = {"max_tokens", "max_completion_tokens", "max_output_tokens", "stop", "stop_sequences", "n", "truncation"}
_SAMPLING = {"temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias"}
_SHAPE = {"response_format", "text", "output_config", "modalities", "prediction", "verbosity", "logprobs", "include"}
_TOOLS = {"tool_choice", "function_call", "parallel_tool_calls", "disable_parallel_tool_use", "max_tool_calls"}
_THINKING = {"reasoning", "reasoning_effort", "thinking"}
_OTHER = {"model", "stream", "stream_options", "top_logprobs", "dimensions", "encoding_format", "service_tier"}
_CACHE = {"cache_control", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
KEPT = frozenset(_PROMPT | _LENGTH | _SAMPLING | _SHAPE | _TOOLS | _THINKING | _OTHER | _CACHE)
# A tool that the provider calls over the network (MCP) carries the credentials for it.
_SECRETS_OF_TOOLS = frozenset({"headers", "authorization", "authorization_token", "api_key"})


def wanted(route: Route, session: str) -> bool:
    """Whether the content of this session is kept: whole sessions, drawn independently of the arms."""
    if route.content == "sample":
        return unit_interval(route.name, session, b"fivelevers content") < route.content_share
    return route.content == "all"


def document(api: str, sent: Mapping[str, Any], answer: Output) -> bytes:
    """What is kept, as JSON. Raises TypeError, ValueError or RecursionError where the request is none."""
    kept = {name: value for name, value in sent.items() if name in KEPT and value is not None}
    if isinstance(kept.get("tools"), list):
        kept["tools"] = [_without_secrets(tool) for tool in kept["tools"]]
    return _json(
        {
            "api": api,
            "request": kept,
            "left_out": sorted(name for name in sent if name not in KEPT),
            "text": answer.text,
            "tool_calls": [(call.name, call.arguments) for call in answer.tool_calls],
        }
    )


def _without_secrets(tool: object) -> object:
    if not isinstance(tool, dict) or _SECRETS_OF_TOOLS.isdisjoint(tool):
        return tool
    return {name: value for name, value in tool.items() if name not in _SECRETS_OF_TOOLS}


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # it refuses lone surrogates and huge integers
        return json.dumps(value, sort_keys=True).encode()
