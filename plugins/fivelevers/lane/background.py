"""`background: true` of the Responses API: an object that its SDK polls, cancels and deletes under an id of ours.

Source: platform.openai.com/docs/guides/background and /docs/api-reference/responses/object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from fivelevers.lane.asgi import Answer, json_answer
from fivelevers.lane.call import Owner
from fivelevers.lane.delivery import refusal
from fivelevers.levers.batch.work import View, WorkState
from fivelevers.stores.lane import Lane

_PATH: Final = re.compile(r"(?:/openai)?(?:/v1)?/responses/resp_(flr_[0-9a-f]{32})(/cancel)?")
_STATUS: Final = {
    WorkState.QUEUED: "queued",
    WorkState.PLANNED: "queued",
    WorkState.SUBMITTED: "in_progress",
    WorkState.DONE: "completed",
    WorkState.RESCUED: "completed",
    WorkState.FAILED: "failed",
    WorkState.CANCELLED: "cancelled",
}
# What a Responses object repeats of its request, with OpenAI's defaults.
_REPEATED: Final[Mapping[str, object]] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
}  # fmt: skip


def id_of(path: str) -> str | None:
    """Our id of the request that a path of the Responses API is about."""
    match = _PATH.fullmatch(path)
    return match[1] if match else None


async def answer(lane: Lane, owner: Owner, method: str, path: str) -> Answer:
    """GET, POST …/cancel and DELETE."""
    work_id = id_of(path) or ""
    view = await lane.view(work_id)
    if view is None or view.work.tenant not in owner.tenants:
        return refusal(path, 404, f"Response with id 'resp_{work_id}' not found.")
    cancels = path.endswith("/cancel")
    if method == "POST" and cancels:
        return json_answer(200, response(await lane.cancel(work_id) or view))
    if method == "GET" and not cancels:
        return json_answer(200, response(view))
    if method == "DELETE" and not cancels:
        await lane.delete(work_id)
        return json_answer(200, {"id": f"resp_{work_id}", "object": "response", "deleted": True})
    return refusal(path, 405, f"{method}: not here; GET, POST …/cancel or DELETE")


def response(view: View) -> dict[str, Any]:
    """The object in its present state: once answered the provider's own, under our id."""
    about = {"id": f"resp_{view.work.id}", "status": _STATUS[view.state], "background": True}
    result = view.result
    if result is not None and result.status < 400:
        answered = orjson.loads(result.body)
        return {**answered, **about, "status": answered.get("status", "completed")}
    asked = orjson.loads(view.work.body)
    repeated = {name: default if asked.get(name) is None else asked[name] for name, default in _REPEATED.items()}
    return {
        **about,
        "object": "response",
        "created_at": int(view.work.accepted_at),
        "model": view.work.about.get("alias", view.work.group.model),
        "output": [],
        "error": None if result is None else _error(result.body),
        "incomplete_details": None,
        "previous_response_id": None,
        "store": True,
        "usage": None,
        **repeated,
    }


def _error(body: bytes) -> dict[str, str]:
    try:
        told = orjson.loads(body)
        error = told.get("error") or told
        return {"code": str(error.get("code") or "server_error"), "message": str(error.get("message") or "")}
    except (orjson.JSONDecodeError, AttributeError):
        return {"code": "server_error", "message": body[:500].decode("utf-8", "replace")}
