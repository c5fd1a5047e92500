"""A row of LiteLLM's table LiteLLM_SpendLogs, as GET /spend/logs or an export of the table gives it.

Source: `model LiteLLM_SpendLogs` in litellm/proxy/schema.prisma of 1.106.2. ``startTime`` is when the call was sent.
The prompt is there only with `store_prompts_in_spend_logs`, as the client's body in ``proxy_server_request``. Each text
above 2,048 characters (MAX_STRING_LENGTH_PROMPT_IN_DB) is cut in its middle there: such a prompt can not be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit import fields
from fivelevers.audit.calls import LeftOutError, LoggedCall, Reason
from fivelevers.audit.prompts import API_OF_CALL, prompt
from fivelevers.policy import Caller


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    if fields.text(row, "cache_hit") in ("True", "true"):
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
    body = fields.part(row, "proxy_server_request")
    text, request, opening = prompt(API_OF_CALL.get(str(row.get("call_type"))), body, usage.prompt)
    provider = fields.text(row, "custom_llm_provider")
    return LoggedCall(
        place=place,
        at=at,
        model=model.removeprefix(f"{provider}/"),
        provider=provider,
        deployment=fields.text(row, "model_id"),
        alias=fields.text(row, "model_group") or model,
        caller=_caller(row, metadata),
        route=None,
        usage=usage,
        logged_usd=fields.usd(row, "spend"),
        text=text,
        request=request,
        opening=opening,
    )


def _caller(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> Caller:
    tags = fields.unpacked(row.get("request_tags"))
    return Caller(
        path=str(metadata.get("user_api_key_request_route") or ""),
        headers={},
        key=fields.text(row, "api_key") or "unknown",
        key_alias=fields.text(metadata, "user_api_key_alias"),
        team=fields.text(row, "team_id") or fields.text(metadata, "user_api_key_team_id"),
        team_alias=fields.text(metadata, "user_api_key_team_alias"),
        end_user=fields.text(row, "end_user"),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )
