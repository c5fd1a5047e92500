"""A batched request's end, as metering sees it: the plan that it was accepted with, and what the provider answered.

What is needed then travels with the work (``about``): another process, days later, knows the caller from it, its
session and its arm. No text is in it, and no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from fivelevers.audit.calls import LeftOutError
from fivelevers.audit.fields import usage
from fivelevers.engine import Answer, Plan
from fivelevers.levers.batch.work import Endpoint, Result, Work
from fivelevers.metering.arms import Arm
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Caller, Policy, Route
from fivelevers.request import Api, parse

ID_PREFIX: Final = "flr_"
API_OF: Final[Mapping[Endpoint, Api]] = {
    Endpoint.CHAT: Api.CHAT,
    Endpoint.RESPONSES: Api.RESPONSES,
    Endpoint.MESSAGES: Api.MESSAGES,
    Endpoint.EMBEDDINGS: Api.EMBEDDINGS,
}
_CALLER = ("path", "key", "key_alias", "team", "team_alias", "end_user")
_PLAN = ("session", "explicit_session", "u", "policy", "repeat_window_s", "charged_to")
_CALLS = ("function_call", "custom_tool_call")


@dataclass(frozen=True, slots=True)
class Paying:
    """Where a batch is sent: the deployment that the proxy chose, and a fingerprint of its account's key."""

    provider: str
    model: str
    deployment: str | None
    provider_key: str | None


def work_id(plan: Plan) -> str:
    """The lane's name of a request; metering knows it by the part behind the prefix."""
    return ID_PREFIX + plan.request_id


def request_id(work_id: str) -> str:
    return work_id.removeprefix(ID_PREFIX)


def about_of(plan: Plan, paying: Paying) -> dict[str, Any]:
    """JSON-ready; what is nothing is left out."""
    caller = {name: getattr(plan.caller, name) for name in _CALLER} | {"tags": list(plan.caller.tags)}
    told = {name: getattr(plan, name) for name in _PLAN} | {
        "alias": plan.request.model,
        "tenant": plan.tenant,
        "holdout": plan.arm.holdout,
        "treated": sorted(plan.arm.treated | {"batch"}) if plan.charged_to is None else [],
        "skipped": list(plan.skipped),
        "caller": {name: value for name, value in caller.items() if value},
        "deployment": paying.deployment,
        "provider_key": paying.provider_key,
    }
    return {name: value for name, value in told.items() if value not in (None, "", [], False)}


def plan_of(work: Work, policy: Policy) -> Plan:
    """The plan again. A route that the policy has no longer keeps its name alone."""
    about = work.about
    caller = dict(about.get("caller", {}))
    fields = orjson.loads(work.body)
    request = parse(API_OF[work.group.endpoint], {**fields, "model": about.get("alias", work.group.model)})
    route = next((route for route in policy.routes if route.name == work.route), None) or Route(name=work.route)
    return Plan(
        request_id=request_id(work.id),
        started_at=work.accepted_at,
        request=request,
        caller=Caller(
            path=caller.pop("path", work.group.endpoint.value),
            headers={},
            key=caller.pop("key", "anonymous"),
            tags=tuple(caller.pop("tags", ())),
            **caller,
        ),
        route=route,
        tenant=about.get("tenant", work.tenant),
        session=about.get("session", ""),
        explicit_session=about.get("explicit_session", False),
        u=about.get("u", 0.0),
        arm=Arm(holdout=about.get("holdout", False), treated=frozenset(about.get("treated", ()))),
        policy=about.get("policy", ""),
        repeat_window_s=about.get("repeat_window_s"),
        skipped=tuple(about.get("skipped", ())),
        unknown_skips=0,
        charged_to=tuple(about["charged_to"]) if "charged_to" in about else None,
    )


def answer_of(work: Work, result: Result) -> Answer:
    """How the row ended. A refused one is billed nothing; an answered one reports its usage, as a live call does."""
    body = _object(result.body)
    counted = _usage(body) if result.status < 400 else None
    return Answer(
        at=result.at,
        started_at=work.accepted_at,
        model=work.group.model,
        provider=work.group.provider,
        provider_key=work.about.get("provider_key"),
        deployment=work.about.get("deployment"),
        provider_request_id=_text(body.get("id")) or result.provider_request,
        success=result.status < 400,
        error=None if result.status < 400 else f"HTTP{result.status}",
        finish_reason=finish_reason(body),
        usage=counted,
        reported=result.status >= 400 or counted is not None,
        generated_chars=len(output_of(body).text),
    )


def _usage(body: Mapping[str, Any]) -> Any:
    found = body.get("usage")
    try:
        return usage(found) if isinstance(found, Mapping) else None
    except LeftOutError:
        return None


def finish_reason(body: Mapping[str, Any]) -> str | None:
    """Why the answer ended, in the words of its API."""
    for choice in _objects(body.get("choices")):
        return _text(choice.get("finish_reason")) or None
    incomplete = body.get("incomplete_details")
    reason = incomplete.get("reason") if isinstance(incomplete, Mapping) else None
    return _text(reason) or _text(body.get("stop_reason")) or _text(body.get("status")) or None


def output_of(body: Mapping[str, Any]) -> Output:
    """What a provider's own answer says: chat (its first choice), Responses or Messages."""
    for choice in _objects(body.get("choices")):
        message = choice.get("message")
        return _of_message(message if isinstance(message, Mapping) else {})
    texts: list[str] = []
    calls: list[ToolCall] = []
    for item in [*_objects(body.get("output")), *_objects(body.get("content"))]:
        kind = item.get("type")
        if kind == "message":
            texts += [_text(part.get("text")) for part in _objects(item.get("content"))]
        elif kind == "text":
            texts.append(_text(item.get("text")))
        elif kind in _CALLS:
            calls.append(ToolCall(_text(item.get("name")), _text(item.get("arguments") or item.get("input"))))
        elif kind == "tool_use":
            calls.append(ToolCall(_text(item.get("name")), orjson.dumps(item.get("input")).decode()))
    return Output("".join(texts), tuple(calls))


def _of_message(message: Mapping[str, Any]) -> Output:
    calls = []
    for call in _objects(message.get("tool_calls")):
        made = call.get("function") or call.get("custom") or {}
        calls.append(ToolCall(_text(made.get("name")), _text(made.get("arguments") or made.get("input"))))
    return Output(_text(message.get("content")), tuple(calls))


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
