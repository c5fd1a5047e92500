"""Which requests lever 2 leaves alone: those whose answer is more than a text, or depends on more than the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fivelevers.levers.semantic_cache.question import TURNS, asks, blocks_of, is_user, turns_of
from fivelevers.request import Api

# Kept at the provider or in the proxy, where it changes and the request does not.
_STATE = (
    "previous_response_id", "conversation", "background", "store", "container", "context_management",
    "prompt", "prompt_id", "prompt_variables",
)  # fmt: skip
# Somebody else's tools: what they find is another thing tomorrow.
_HOSTED = (
    "web_search_options", "search_parameters", "enable_search", "mcp_servers", "vector_store_ids", "file_ids",
    "plugins", "knowledge_base", "retrieval_config", "agent_id",
)  # fmt: skip
REFUSED_FOR = frozenset({*_STATE, *_HOSTED, "best_of", "audio", "include_reasoning"})
"""Fields of a body that forbid an answer from the cache, beside those that most requests have."""
_STATE_ITEMS = ("item_reference", "container_upload")
_CLIENT_TOOLS = ("function", "custom")
_ONE = (None, 1)


def uncacheable(api: Api, body: Mapping[str, Any]) -> str | None:
    """Why this request is neither answered from the cache nor stored in it, in a word; None where it may be.

    Images, files and a client's own tools are part of the scope and do not stand in the way.
    """
    if api not in TURNS:
        return "api"
    if api is Api.MESSAGES and body.get("stop_sequences"):
        return "stop_sequences"  # which of them ended an answer is part of it, and not kept
    return _by_fields(body) or _by_tools(api, body.get("tools")) or _by_turns(api, body)


def _by_fields(body: Mapping[str, Any]) -> str | None:
    why = {
        "state": any(body.get(name) for name in _STATE),
        "hosted_tool": any(body.get(name) not in (None, False, []) for name in _HOSTED),  # {} asks for a search
        "several": body.get("n") not in _ONE or body.get("best_of") not in _ONE,
        "logprobs": bool(body.get("logprobs") or body.get("top_logprobs")),
        "audio": bool(body.get("audio")) or body.get("modalities") not in (None, [], ["text"]),
        "thinking": _thinks(body),
        "include": bool(body.get("include")),
    }
    return next((reason for reason, holds in why.items() if holds), None)


def _thinks(body: Mapping[str, Any]) -> bool:
    """Whether the answer shall hold reasoning to read. An effort alone is a parameter like others."""
    thinking, reasoning = body.get("thinking"), body.get("reasoning")
    if thinking and not (isinstance(thinking, dict) and thinking.get("type") == "disabled"):
        return True
    if isinstance(reasoning, dict):
        return any(value for name, value in reasoning.items() if name != "effort")
    return bool(reasoning or body.get("include_reasoning"))


def _by_tools(api: Api, tools: object) -> str | None:
    if tools is not None and not isinstance(tools, list):
        return "shape"
    return None if all(_is_client_s(api, tool) for tool in tools or ()) else "hosted_tool"


def _is_client_s(api: Api, tool: object) -> bool:
    """A tool that the client runs itself, and describes in full. Providers' own have types of their own, or none."""
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    return kind in _CLIENT_TOOLS or (api is Api.MESSAGES and kind is None and "input_schema" in tool)


def _by_turns(api: Api, body: Mapping[str, Any]) -> str | None:
    turns = turns_of(api, body)
    for part in _parts(turns):
        if part.get("type") in _STATE_ITEMS:
            return "state"
        citations = part.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            return "citations"
    last = turns[-1] if turns else None
    if isinstance(last, dict) and last.get("role") == "assistant":
        return "prefill"
    if _is_tool_result(last):
        return "tool_result"
    return None if asks(turns) else "no_question"


def _is_tool_result(turn: object) -> bool:
    if not isinstance(turn, dict):
        return False
    if turn.get("role") in ("tool", "function") or str(turn.get("type")).endswith("_output"):
        return True
    return is_user(turn) and any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks_of(turn)
    )


def _parts(turns: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Every message, every block of one, and the blocks within a tool's result."""
    for turn in turns:
        if not isinstance(turn, dict):
            continue
        yield turn
        for block in blocks_of(turn):
            if isinstance(block, dict):
                yield block
                yield from (inner for inner in _list(block.get("content")) if isinstance(inner, dict))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
