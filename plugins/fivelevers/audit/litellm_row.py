"""What LiteLLM's spend logs and the lines of its callbacks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit import fields
from fivelevers.audit.answers import cut_off, said_in
from fivelevers.audit.asked import asked_of
from fivelevers.audit.calls import LeftOutError, LoggedCall, Reason
from fivelevers.audit.manner import Manner, agent_in, manner_of
from fivelevers.audit.prompts import prompt
from fivelevers.policy import Caller
from fivelevers.request import Api

API_OF_CALL = {
    "completion": Api.CHAT,
    "acompletion": Api.CHAT,
    "anthropic_messages": Api.MESSAGES,
    "responses": Api.RESPONSES,
    "aresponses": Api.RESPONSES,
    "embedding": Api.EMBEDDINGS,
    "aembedding": Api.EMBEDDINGS,
}
"""By LiteLLM's call types."""


def call(place: str, row: Mapping[str, Any], body: Mapping[str, Any], key: str | None, usd: str) -> LoggedCall:
    """``body``: the request, empty where the row does not hold it; ``usd``: the field of its cost.

    Raises LeftOutError.
    """
    if str(row.get("cache_hit")).lower() == "true":
        raise LeftOutError(Reason.SERVED)
    if row.get("status") == "failure":
        raise LeftOutError(Reason.FAILED)
    at, model = fields.moment(row, "startTime", "start_time"), fields.text(row, "model")
    if at is None:
        raise LeftOutError(Reason.NO_TIME)
    if model is None:
        raise LeftOutError(Reason.NO_MODEL)
    metadata = fields.part(row, "metadata")
    usage = fields.usage(fields.part(metadata, "usage_object") or row)
    if usage is None:
        raise LeftOutError(Reason.NO_TOKENS)
    provider = fields.text(row, "custom_llm_provider")
    text, request, opening = prompt(API_OF_CALL.get(str(row.get("call_type"))), body, usage.prompt)
    return LoggedCall(
        place=place,
        at=at,
        model=model.removeprefix(f"{provider}/"),
        provider=provider,
        deployment=fields.text(row, "model_id"),
        alias=fields.text(row, "model_group") or model,
        caller=_caller(row, metadata, key),
        route=None,
        usage=usage,
        logged_usd=fields.usd(row, usd),
        text=text,
        request=request,
        opening=opening,
        asked=asked_of(request, body, said_in(fields.part(row, "response")), fields.moment(row, "endTime", "end_time")),
        manner=_manner(row, body, metadata),
        cut_off=cut_off(fields.part(row, "response")),
        session=fields.text(row, "session_id"),
    )


def _manner(row: Mapping[str, Any], body: Mapping[str, Any], metadata: Mapping[str, Any]) -> Manner:
    agent = fields.text(row, "user_agent") or fields.text(metadata, "user_agent") or agent_in(_tags(row))
    return manner_of(
        body,
        api=API_OF_CALL.get(str(row.get("call_type")), Api.OTHER) if row.get("call_type") else None,
        streamed=_streamed(row, body),
        agent=agent,
    )


def _streamed(row: Mapping[str, Any], body: Mapping[str, Any]) -> bool | None:
    """Where no field says so, by the time of the first token: LiteLLM notes the end where there was no stream."""
    told = next((value for value in (row.get("stream"), body.get("stream")) if isinstance(value, bool)), None)
    first, end = fields.moment(row, "completionStartTime"), fields.moment(row, "endTime")
    return told if told is not None or first is None or end is None else first < end


def _tags(row: Mapping[str, Any]) -> tuple[str, ...]:
    tags = fields.unpacked(row.get("request_tags"))
    return tuple(map(str, tags)) if isinstance(tags, list) else ()


def _caller(row: Mapping[str, Any], metadata: Mapping[str, Any], key: str | None) -> Caller:
    return Caller(
        path=str(metadata.get("user_api_key_request_route") or ""),
        headers={},
        key=key or fields.text(metadata, "user_api_key_hash") or "unknown",
        key_alias=fields.text(metadata, "user_api_key_alias"),
        team=fields.text(row, "team_id") or fields.text(metadata, "user_api_key_team_id"),
        team_alias=fields.text(metadata, "user_api_key_team_alias"),
        end_user=fields.text(row, "end_user"),
        tags=_tags(row),
    )
