"""A line of LiteLLM's logging callbacks: its StandardLoggingPayload, alone or as ``standard_logging_object``.

Source: `class StandardLoggingPayload` in litellm/types/utils.py of 1.106.2. ``messages`` holds the system prompt too
where it was text; the other parameters, tools among them, are in ``model_parameters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit import fields
from fivelevers.audit.calls import LeftOutError, LoggedCall, Reason
from fivelevers.audit.prompts import API_OF_CALL, prompt
from fivelevers.policy import Caller
from fivelevers.request import Api


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    log = fields.part(row, "standard_logging_object") or row
    if log.get("cache_hit") is True:
        raise LeftOutError(Reason.SERVED)
    if log.get("status") == "failure":
        raise LeftOutError(Reason.FAILED)
    at, model = fields.moment(log, "startTime"), fields.text(log, "model")
    if at is None:
        raise LeftOutError(Reason.NO_TIME)
    if model is None:
        raise LeftOutError(Reason.NO_MODEL)
    metadata = fields.part(log, "metadata")
    usage = fields.usage(fields.part(metadata, "usage_object") or log)
    if usage is None:
        raise LeftOutError(Reason.NO_TOKENS)
    api = API_OF_CALL.get(str(log.get("call_type")))
    text, request, opening = prompt(api, _body(api, log), usage.prompt)
    provider = fields.text(log, "custom_llm_provider")
    return LoggedCall(
        place=place,
        at=at,
        model=model.removeprefix(f"{provider}/"),
        provider=provider,
        deployment=fields.text(log, "model_id"),
        alias=fields.text(log, "model_group") or model,
        caller=_caller(log, metadata),
        route=None,
        usage=usage,
        logged_usd=fields.usd(log, "response_cost"),
        text=text,
        request=request,
        opening=opening,
    )


def _body(api: Api | None, log: Mapping[str, Any]) -> Mapping[str, Any]:
    said = fields.unpacked(log.get("messages"))
    if said is None or said == {}:
        return {}
    name = "input" if api in (Api.RESPONSES, Api.EMBEDDINGS) else "messages"
    return {**fields.part(log, "model_parameters"), "model": log.get("model_group"), name: said}


def _caller(log: Mapping[str, Any], metadata: Mapping[str, Any]) -> Caller:
    tags = log.get("request_tags")
    return Caller(
        path=str(metadata.get("user_api_key_request_route") or ""),
        headers={},
        key=fields.text(metadata, "user_api_key_hash") or "unknown",
        key_alias=fields.text(metadata, "user_api_key_alias"),
        team=fields.text(metadata, "user_api_key_team_id"),
        team_alias=fields.text(metadata, "user_api_key_team_alias"),
        end_user=fields.text(log, "end_user"),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )
