"""The lane's own paths, under ``/fivelevers/v1/requests``: what became of a request, its answer, cancelling, listing.

GET    /fivelevers/v1/requests?after=ID&limit=N   newest first
GET    /fivelevers/v1/requests/ID                 its state
GET    /fivelevers/v1/requests/ID/result          the answer, as the live call had given it; 202 while there is none
POST   /fivelevers/v1/requests/ID/cancel          out of the lane where the provider does not have it yet
DELETE /fivelevers/v1/requests/ID                 the same, and forgotten
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qs

from fivelevers.lane.asgi import Answer, Scope, json_answer
from fivelevers.lane.call import Owner
from fivelevers.lane.delivery import IN_LANE, deliver, refusal
from fivelevers.levers.batch.work import View
from fivelevers.stores.lane import Lane

PREFIX: Final = "/fivelevers/v1/requests"
RETRY_AFTER_S: Final = 60
PAGE: Final = 20
PAGE_AT_MOST: Final = 100
_PATH: Final = re.compile(PREFIX + r"/(flr_[0-9a-f]{32})(/result|/cancel)?")


def place(work_id: str) -> str:
    """Where a request is asked about."""
    return f"{PREFIX}/{work_id}"


async def answer(lane: Lane, owner: Owner, scope: Scope) -> Answer:
    method, path = scope["method"], scope["path"]
    if path == PREFIX and method == "GET":
        return await _page(lane, owner, scope.get("query_string", b"").decode("latin-1"))
    match = _PATH.fullmatch(path)
    view = None if match is None else await lane.view(match[1])
    if match is None or view is None or view.work.tenant not in owner.tenants:
        return refusal(path, 404, "no request of this key has this id")
    return await _one(lane, view, method, match[2] or "", path)


async def _one(lane: Lane, view: View, method: str, what: str, path: str) -> Answer:
    work_id = view.work.id
    if (method, what) == ("GET", ""):
        return json_answer(200, document(view), {} if view.state.ended else {"retry-after": str(RETRY_AFTER_S)})
    if (method, what) == ("GET", "/result"):
        if view.state.ended:
            return deliver(view, path, {"x-fivelevers-lane": IN_LANE})
        return json_answer(202, document(view), {"retry-after": str(RETRY_AFTER_S), "location": place(work_id)})
    if (method, what) == ("POST", "/cancel"):
        return json_answer(200, document(await lane.cancel(work_id) or view))
    if (method, what) == ("DELETE", ""):
        await lane.delete(work_id)
        return json_answer(200, {"id": work_id, "deleted": True})
    return refusal(path, 405, f"{method} is not for this path")


async def _page(lane: Lane, owner: Owner, query: str) -> Answer:
    asked = parse_qs(query)
    after = asked.get("after", [None])[0]
    text = asked.get("limit", [str(PAGE)])[0]
    if not text.isdigit() or not 1 <= int(text) <= PAGE_AT_MOST:
        return refusal(PREFIX, 422, f"limit: {text[:20]!r} is not in 1..{PAGE_AT_MOST}")
    limit = int(text)
    # A key's own requests and its team's are two lists: the last one shown stands in one of them.
    last_shown = None if after is None else await lane.view(after)
    mine = last_shown is not None and last_shown.work.tenant in owner.tenants
    older_than = last_shown.work.accepted_at if mine and last_shown is not None else None
    found = [
        view
        for tenant in sorted(owner.tenants)
        for view in await lane.page(tenant, after=after, older_than=older_than, limit=limit + 1)
    ]
    found.sort(key=lambda view: view.work.accepted_at, reverse=True)
    shown = found[:limit]
    last = shown[-1].work.id if shown else None
    return json_answer(200, {"data": [document(v) for v in shown], "last_id": last, "has_more": len(found) > limit})


def document(view: View) -> dict[str, Any]:
    """A request's state for its owner. Times in seconds of the epoch."""
    work = view.work
    told = {
        "id": work.id,
        "object": "fivelevers.request",
        "status": view.state.value,
        "endpoint": work.group.endpoint.value,
        "model": work.about.get("alias", work.group.model),
        "route": work.route,
        "accepted_at": int(work.accepted_at),
        "deadline_at": int(work.deadline_at),
        "attempts": view.attempts,
    }
    if view.result is not None:
        told |= {"http_status": view.result.status, "ended_at": int(view.result.at)}
        told["result_url"] = f"{place(work.id)}/result"
    return told
