"""A line that pairs a request with its response, in the provider's own shapes, as gateways and scripts log them.

``{"request": {...}, "response": {...}, "timestamp": ...}`` and its common variants: the parts as JSON text, within
``body`` or ``json``, as ``request_body`` and ``response_body`` or ``input`` and ``output``; a response as the list of
its stream's chunks; or both in one flat object. Keys of callers, which may stand in a log as they are, never leave this
module.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from fivelevers.audit import fields
from fivelevers.audit.answers import Said, cut_off, cut_off_in_stream, said_in, said_in_stream
from fivelevers.audit.asked import asked_of
from fivelevers.audit.calls import LeftOutError, LoggedCall, Reason
from fivelevers.audit.manner import manner_of
from fivelevers.audit.prompts import prompt
from fivelevers.levers.semantic_cache.cacheable import REFUSED_FOR
from fivelevers.metering.content import KEPT
from fivelevers.policy import Caller

REQUESTS = ("request", "request_body", "requestBody", "kwargs", "input")
RESPONSES = ("response", "response_body", "responseBody", "output")
_OF_A_REQUEST = KEPT | REFUSED_FOR | {"cache", "background"}  # the log's own fields may stand beside them
_INNER = ("body", "json", "data")
_TIMES = (
    "timestamp",
    "time",
    "ts",
    "start_time",
    "startTime",
    "started_at",
    "request_time",
    "created_at",
    "@timestamp",
)
_SESSIONS = ("session_id", "sessionId", "session", "conversation_id", "thread_id")
_ENDS = ("end_time", "endTime", "ended_at", "completed_at", "finished_at", "response_time")


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    outer, body = _request(row)
    answer = _response(row)
    if _failed(row, answer):
        raise LeftOutError(Reason.FAILED)
    at = fields.moment(row, *_TIMES)
    at = fields.moment(outer, *_TIMES) if at is None else at
    at = fields.moment(answer, "created", "created_at") if at is None else at
    if at is None:
        raise LeftOutError(Reason.NO_TIME)
    alias = fields.text(row, "model_group", "alias") or fields.text(body, "model")
    model = fields.text(answer, "model") or fields.text(row, "model") or alias
    if model is None:
        raise LeftOutError(Reason.NO_MODEL)
    usage = fields.usage(fields.part(answer, "usage") or fields.part(row, "usage") or row)
    if usage is None:
        raise LeftOutError(Reason.NO_TOKENS)
    text, request, opening = prompt(None, body, usage.prompt)
    caller = _caller(row, outer)
    return LoggedCall(
        place=place,
        at=at,
        model=model,
        provider=fields.text(row, "provider", "custom_llm_provider"),
        deployment=None,
        alias=alias or model,
        caller=caller,
        route=None,
        usage=usage,
        logged_usd=fields.usd(row, "cost", "cost_usd", "response_cost"),
        text=text,
        request=request,
        opening=opening,
        asked=asked_of(request, body, _said(row, answer), fields.moment(row, *_ENDS)),
        manner=manner_of(
            body,
            api=request.api if request else None,
            streamed=True if _chunks(row) is not None else None,
            agent=caller.headers.get("user-agent") or fields.text(row, "user_agent"),
        ),
        cut_off=cut_off(answer) if (chunks := _chunks(row)) is None else cut_off_in_stream(chunks),
        session=fields.text(row, *_SESSIONS),
    )


def _request(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """(what the log says of the request, its body)."""
    outer = fields.part(row, *REQUESTS)
    if not outer:
        return row, {name: value for name, value in row.items() if name in _OF_A_REQUEST}
    return outer, outer if _is_body(outer) else fields.part(outer, *_INNER) or outer


def _is_body(value: Mapping[str, Any]) -> bool:
    return "messages" in value or "input" in value


def _response(row: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in RESPONSES:
        value = fields.unpacked(row.get(name))
        if isinstance(value, list):
            return _joined(value)
        if isinstance(value, Mapping) and value:
            return value if "usage" in value else _inner(value)
    return {}


def _said(row: Mapping[str, Any], answer: Mapping[str, Any]) -> Said | None:
    chunks = _chunks(row)
    return said_in(answer) if chunks is None else said_in_stream(chunks)


def _chunks(row: Mapping[str, Any]) -> list[Any] | None:
    """Of a response that was streamed."""
    return next((found for name in RESPONSES if isinstance(found := fields.unpacked(row.get(name)), list)), None)


def _inner(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((part for name in _INNER if (part := fields.part(value, name))), value)


def _joined(chunks: list[Any]) -> Mapping[str, Any]:
    """A streamed answer: usage stands in its last chunk, Anthropic's in its first (input) and last but one (output)."""
    joined: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    for chunk in chunks:
        if isinstance(chunk, Mapping):
            whole = fields.part(chunk, "message", "response") or chunk
            joined.update({name: whole[name] for name in ("model", "created") if whole.get(name)})
            usage.update({name: count for name, count in fields.part(whole, "usage").items() if count is not None})
    return {**joined, "usage": usage}


def _failed(row: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    if answer.get("error") or row.get("error") or answer.get("type") == "error":
        return True
    about = fields.part(row, *RESPONSES)
    status = row.get("status_code") or row.get("status") or about.get("status_code") or about.get("status")
    return (isinstance(status, int) and status >= 400) or status in ("failure", "error", "failed")


def _caller(row: Mapping[str, Any], outer: Mapping[str, Any]) -> Caller:
    name = fields.text(row, "key_alias", "api_key_alias", "key_name")
    secret = fields.text(row, "api_key", "key", "key_hash")
    headers = {str(k).lower(): str(v) for k, v in fields.part(outer, "headers").items()}
    return Caller(
        path=fields.text(row, "path", "endpoint") or fields.text(outer, "path", "url") or "",
        headers=headers,
        key=sha256(secret.encode("utf-8", "surrogatepass")).hexdigest() if secret else "unknown",
        key_alias=name,
        team=fields.text(row, "team", "team_id"),
        end_user=fields.text(row, "user", "end_user"),
    )
