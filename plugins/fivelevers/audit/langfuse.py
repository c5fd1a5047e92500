"""An observation of Langfuse, as its API, its exports to blob storage and those of its pages give it.

Sources, in langfuse/langfuse: `Observation`, `ObservationsView` and `ObservationV2` in `fern/apis/server/definition`
(GET /api/public/observations and /v2/observations), `LEGACY_OBSERVATION_EXPORT_FIELDS` and `EVENTS_FIELDS` (blob
storage, in snake_case), `handleBatchExportJob.ts` and `stringify.ts` (pages; in CSV, times are in quotes). Texts come
as they were sent, or as the JSON of it. What LiteLLM's callback sends: `integrations/langfuse/langfuse.py` of 1.106.2.

Observations of other types than GENERATION and EMBEDDING hold what happened around calls, and the files of traces and
scores no call. A trace is a session, where no other is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from fivelevers.audit import fields, langfuse_usage
from fivelevers.audit.answers import Said, cut_off, said_in
from fivelevers.audit.asked import asked_of
from fivelevers.audit.calls import LeftOutError, LoggedCall, Reason
from fivelevers.audit.manner import agent_in, manner_of
from fivelevers.audit.prompts import prompt
from fivelevers.levers.semantic_cache.cacheable import REFUSED_FOR
from fivelevers.metering.content import KEPT
from fivelevers.policy import Caller
from fivelevers.request import Api

MARKS: Final = frozenset(
    {
        "parentObservationId", "parent_observation_id", "usageDetails", "usage_details", "providedModelName",
        "provided_model_name", "internalModelId", "internal_model_id", "calculatedTotalCost",
    }
    | {"observationId", "observation_id", "bookmarked", "htmlPath"}
)  # fmt: skip
"""Fields of observations, and of traces and scores, that no other log has."""

_CALLS: Final = ("GENERATION", "EMBEDDING")
_PARAMETERS: Final = KEPT | REFUSED_FOR | {"background"}
_OF_MANNER: Final = ("stream", "background", "service_tier", "previous_response_id")  # the rest may not be all there is
_AS_SENT: Final = 3  # JSON within JSON text: SDKs write out what had been written out


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    metadata = fields.part(row, "metadata")
    _refuse(row, metadata)
    at, model = _moment(row, "startTime", "start_time"), _model(row)
    if at is None:
        raise LeftOutError(Reason.NO_TIME)
    if model is None:
        raise LeftOutError(Reason.NO_MODEL)
    usage = langfuse_usage.usage(row)
    if usage is None:
        raise LeftOutError(Reason.NO_TOKENS)
    body, output = _body(row, model), _as_sent(row.get("output"))
    api = Api.EMBEDDINGS if str(row.get("type")).upper() == "EMBEDDING" else None
    text, request, opening = prompt(api, body, usage.prompt)
    ended = _moment(row, "endTime", "end_time")
    caller = _caller(row, metadata)
    return LoggedCall(
        place=place,
        at=at,
        model=model,
        provider=None,
        deployment=None,
        alias=fields.text(metadata, "model_group") or model,
        caller=caller,
        route=None,
        usage=usage,
        logged_usd=_usd(row),
        text=text,
        request=request,
        opening=opening,
        asked=asked_of(request, body, _said(output), ended),
        manner=manner_of(
            {name: body[name] for name in _OF_MANNER if name in body},
            api=request.api if request else api,
            streamed=_streamed(row, ended),
            agent=fields.text(metadata, "user_agent") or agent_in(caller.tags),
        ),
        cut_off=cut_off(output) if isinstance(output, Mapping) else None,
        id=fields.text(row, "id"),
        session=fields.text(row, "sessionId", "session_id"),
    )


def _refuse(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Raises LeftOutError for what is no call, or none that a provider answered."""
    if str(row.get("type")).upper() not in _CALLS:
        raise LeftOutError(Reason.NO_CALL)
    if str(metadata.get("cache_hit")).lower() == "true":
        raise LeftOutError(Reason.SERVED)
    if row.get("level") == "ERROR":
        raise LeftOutError(Reason.FAILED)


def _model(row: Mapping[str, Any]) -> str | None:
    return fields.text(row, "model", "providedModelName", "provided_model_name")


def _usd(row: Mapping[str, Any]) -> Any:
    told = fields.usd(row, "calculatedTotalCost", "totalCost", "total_cost")
    return fields.usd(fields.part(row, "costDetails", "cost_details"), "total") if told is None else told


def _moment(row: Mapping[str, Any], *names: str) -> float | None:
    return fields.moment({name: _unquoted(row.get(name)) for name in names}, *names)


def _unquoted(value: object) -> object:
    return value.strip('"') if isinstance(value, str) else value


def _streamed(row: Mapping[str, Any], ended: float | None) -> bool | None:
    """By the time of the first token: LiteLLM notes the end where there was no stream."""
    first = _moment(row, "completionStartTime", "completion_start_time")
    return None if first is None or ended is None else first < ended


def _as_sent(value: object) -> object:
    for _ in range(_AS_SENT):
        if not isinstance(value, str) or value[:1] not in ("{", "[", '"'):
            break
        try:
            value = orjson.loads(value)
        except ValueError:
            break
    return value


def _body(row: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The request, of what was kept of it; empty where its prompt is not in a shape of a provider's API."""
    said = _prompt(_as_sent(row.get("input")))
    if not said:
        return {}
    parameters = fields.part(row, "modelParameters", "model_parameters")
    kept = {name: _parameter(value) for name, value in parameters.items() if name in _PARAMETERS}
    return {**kept, "model": model, **said}


def _parameter(value: object) -> object:
    """Some SDKs send every parameter as text."""
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _prompt(sent: object) -> Mapping[str, Any]:
    if isinstance(sent, str):
        return {"messages": [{"role": "user", "content": sent}]} if sent else {}
    if isinstance(sent, list):
        return _of_list(sent)
    if not isinstance(sent, Mapping):
        return {}
    if isinstance(sent.get("messages"), list):
        return {**sent, **_of_list(sent["messages"])} if _of_list(sent["messages"]) else {}
    return {name: value for name, value in sent.items() if name in _PARAMETERS} if sent.get("input") else {}


def _of_list(sent: list[Any]) -> Mapping[str, Any]:
    """Messages of a chat, or the items of a Responses request; empty where it is neither, as with messages of other
    shapes: what is not seen of them would make them all the same.
    """
    if not sent or not all(isinstance(one, Mapping) for one in sent):
        return {}
    if all(one.get("role") and ("content" in one or one.get("tool_calls")) for one in sent):
        return {"messages": sent}
    items = all("content" in one if one.get("role") else one.get("type") for one in sent)
    return {"input": sent} if items else {}


def _said(output: object) -> Said | None:
    if isinstance(output, str):
        return Said(whole=True, text=output or None)
    if not isinstance(output, Mapping):
        return None
    return said_in({"choices": [{"message": output}]}) if output.get("role") else said_in(output)


def _caller(row: Mapping[str, Any], metadata: Mapping[str, Any]) -> Caller:
    """Without a key of LiteLLM's, all of a project is one caller."""
    tags = fields.unpacked(row.get("tags") or row.get("traceTags"))
    return Caller(
        path=fields.text(metadata, "user_api_key_request_route") or "",
        headers={},
        key=fields.text(metadata, "user_api_key_hash") or fields.text(row, "projectId", "project_id") or "unknown",
        key_alias=fields.text(metadata, "user_api_key_alias"),
        team=fields.text(metadata, "user_api_key_team_id"),
        team_alias=fields.text(metadata, "user_api_key_team_alias"),
        end_user=fields.text(row, "userId", "user_id"),
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
    )
