"""An ended request as the HTTP answer that its live call had been; and refusals in the shape of each API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fivelevers.lane.asgi import Answer, json_answer, problem
from fivelevers.levers.batch.work import View, WorkState

IN_LANE: Final = "batch"
RESCUED: Final = "batch; why=rescued"
_TITLES: Final = {
    401: "Not authenticated",
    403: "Not allowed",
    404: "No such request",
    409: "Not now",
    410: "No answer",
    422: "Not the same request",
    502: "No answer from the proxy",
    503: "Not available",
}


def deliver(view: View, path: str, headers: Mapping[str, str]) -> Answer:
    """The answer of a request that has ended."""
    if view.result is None:
        said = "was cancelled" if view.state is WorkState.CANCELLED else "has no answer any more"
        return refusal(path, 410, f"request {view.work.id} {said}")
    lane = {"x-fivelevers-lane": RESCUED} if view.state is WorkState.RESCUED else {}
    return Answer(view.result.status, view.result.body, {**headers, **lane})


def refusal(path: str, status: int, detail: str, *, retry_s: int | None = None) -> Answer:
    """On the providers' paths what their SDKs read, on our own a problem (RFC 9457)."""
    headers = {} if retry_s is None else {"retry-after": str(retry_s)}
    title = _TITLES.get(status, "Refused")
    if not path.startswith("/v1/"):
        return problem(status, title, detail, headers)
    kind = "invalid_request_error" if status < 500 else "api_error"
    if path == "/v1/messages":
        return json_answer(status, {"type": "error", "error": {"type": kind, "message": detail}}, headers)
    error = {"message": detail, "type": kind, "param": None, "code": title.lower().replace(" ", "_")}
    return json_answer(status, {"error": error}, headers)
