"""What a batched request cost goes back to its caller's key, by the way that LiteLLM itself accounts for a call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import litellm
from litellm.types.utils import ModelResponse

from fivelevers.levers.batch.work import Endpoint, Work
from fivelevers.metering.event import Attempt

_TRACKER: Final = "_ProxyDBLogger"  # LiteLLM's own callback that counts what keys, teams and users spend
_CALL_TYPES: Final = {
    Endpoint.CHAT: "acompletion",
    Endpoint.RESPONSES: "aresponses",
    Endpoint.MESSAGES: "anthropic_messages",
    Endpoint.EMBEDDINGS: "aembedding",
}


def identity(work: Work) -> dict[str, Any]:
    """The caller as LiteLLM's metadata of a call names it: by the hash of its key."""
    caller, host = _mapping(work.about.get("caller")), _mapping(work.about.get("host"))
    told = {
        "user_api_key": caller.get("key"),
        "user_api_key_hash": caller.get("key"),
        "user_api_key_alias": caller.get("key_alias"),
        "user_api_key_team_id": caller.get("team"),
        "user_api_key_team_alias": caller.get("team_alias"),
        "user_api_key_user_id": host.get("user_id"),
        "user_api_key_org_id": host.get("org_id"),
        "user_api_key_end_user_id": caller.get("end_user"),
        "model_group": work.about.get("alias"),
        "tags": caller.get("tags"),
    }
    return {name: value for name, value in told.items() if value}


async def give_back(work: Work, attempt: Attempt) -> None:
    """Count the cost where LiteLLM counts: budgets at once, and its database where it has one."""
    tracker = next((one for one in litellm.callbacks if type(one).__name__ == _TRACKER), None)
    if tracker is None or not attempt.cost_usd:
        return
    usage = {
        "prompt_tokens": attempt.usage.prompt,
        "completion_tokens": attempt.usage.output,
        "total_tokens": attempt.usage.total,
    }
    kwargs = {
        "model": attempt.model,
        "call_type": _CALL_TYPES[work.group.endpoint],
        "custom_llm_provider": attempt.provider,
        "litellm_call_id": work.id,
        "response_cost": float(attempt.cost_usd),
        "litellm_params": {"metadata": identity(work)},
    }
    response = ModelResponse(id=attempt.provider_request_id or work.id, model=attempt.model, usage=usage)
    started, ended = (datetime.fromtimestamp(at, UTC) for at in (attempt.started_at, attempt.at))
    await tracker.async_log_success_event(kwargs, response, started, ended)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
