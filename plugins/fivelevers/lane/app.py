"""The lane's ASGI application: takes requests that may wait, and answers by the client contract.

    POST /fivelevers/lane/v1/...             a live call that Envoy re-routed, or that a pipeline sends here itself
    GET, POST cancel, DELETE /v1/responses/resp_flr_...     Responses in the background, as their SDK polls them
    /fivelevers/v1/requests...               the lane's own paths (requests.py)

No 202 for a caller that did not ask for one: its SDK would take that for an answer.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

import orjson

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.lane import background, requests
from fivelevers.lane.asgi import (
    Answer,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    again,
    json_answer,
    texts,
    unless_gone,
    whole_body,
)
from fivelevers.lane.call import Call, Host, Parked, Refused
from fivelevers.lane.contract import LANE_HEADER, PATIENCE_HEADER, wish_of
from fivelevers.lane.delivery import IN_LANE, deliver, refusal
from fivelevers.lane.holding import Holding
from fivelevers.levers.batch.work import Endpoint, View, WorkState
from fivelevers.stores.lane import Accepted, Lane
from fivelevers.stores.redis_config import LANE_URL

PREFIX: Final = "/fivelevers/lane"
LEVER: Final = "batch"
RETRY_AFTER_S: Final = 60  # half of what a request waits for others to share its batch
_ENDPOINTS: Final = frozenset(endpoint.value for endpoint in Endpoint)


def handles(path: str) -> bool:
    """Whether a path is the lane's."""
    return path.startswith((f"{PREFIX}/", requests.PREFIX)) or background.id_of(path) is not None


class LaneApp:
    """One process's lane, in front of its ``host``. ``lane`` None: it has no Redis, and every call goes live."""

    def __init__(self, lane: Lane | None, host: Host) -> None:
        self._lane, self.host = lane, host

    @property
    def lane(self) -> Lane:
        if self._lane is None:
            raise StoreError(f"{LANE_URL} is not set")
        return self._lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(f"{PREFIX}/"):
            await self._take(scope, path.removeprefix(PREFIX), receive, send)
            return
        answer = await self._about(scope, path)
        await answer.send(send)

    async def _about(self, scope: Scope, path: str) -> Answer:
        """What is asked about requests that are here already."""
        try:
            owner = await self.host.owner(scope)
            if background.id_of(path) is not None:
                return await background.answer(self.lane, owner, scope["method"], path)
            return await requests.answer(self.lane, owner, scope)
        except Refused as error:
            return refusal(path, error.status, error.detail)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
            return refusal(path, 503, "the lane can not look it up now; what it has accepted is kept", retry_s=5)

    async def _take(self, scope: Scope, path: str, receive: Receive, send: Send) -> None:
        try:
            body = await whole_body(receive)
        except ClientGoneError:
            return
        call = call_of({**scope, "path": path, "raw_path": path.encode()}, path, body)
        why = "no-lane" if self._lane is None else "endpoint" if not _batches(scope["method"], path) else ""
        if why:
            await self.host.live(call, why, again(body, receive), send)
            return
        parked = await self.host.offer(call, again(body, receive), send)
        if parked is None:
            return
        try:
            accepted = await self._accept(call, parked)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
            await self.host.live(call, "redis", again(body, receive), send)
            return
        await self._answer(call, parked, accepted, receive, send)

    async def _accept(self, call: Call, parked: Parked) -> Accepted:
        key = call.wish.idempotency_key
        attach = call.wish.retry or key is not None
        return await self.lane.accept(
            parked.work, idempotency_key=key, fingerprint=parked.fingerprint, attach=attach, now=time.time()
        )

    async def _answer(self, call: Call, parked: Parked, accepted: Accepted, receive: Receive, send: Send) -> None:
        if accepted.conflict:
            await refusal(call.path, 422, "Idempotency-Key: this key was sent before with another body").send(send)
            return
        metrics.count_in_lane("accepted" if accepted.created else "attached")
        headers = {**parked.headers, LANE_HEADER: IN_LANE}
        if call.background:
            view = await self._now(parked, accepted)
            answer = json_answer(200, background.response(view), headers)
        elif call.wish.respond_async:
            answer = await self._later(call, parked, accepted, headers, receive)
        elif call.wish.held_elsewhere:
            answer = json_answer(202, {"id": accepted.id}, {**headers, PATIENCE_HEADER: f"{parked.patience_s:.3f}"})
        else:
            holding = Holding(self.lane, self.host, call, accepted.id, receive, send)
            await holding.answer(parked.patience_s, headers)
            return
        await answer.send(send)

    async def _later(
        self, call: Call, parked: Parked, accepted: Accepted, headers: dict[str, str], receive: Receive
    ) -> Answer:
        """Held for as long as the caller prefers to wait, then 202."""
        preferred, view = "respond-async", None
        if call.wish.wait_s:
            preferred += f", wait={call.wish.wait_s:.0f}"
            waiting = self.lane.wait(accepted.id, within_s=call.wish.wait_s)
            with suppress(StoreError, ClientGoneError):  # then it comes back for it
                view = await unless_gone(waiting, receive)
        view = view or await self._now(parked, accepted)
        headers["preference-applied"] = preferred
        if view.state.ended:
            return deliver(view, call.path, headers)
        place = {"location": requests.place(accepted.id), "retry-after": str(RETRY_AFTER_S)}
        return json_answer(202, requests.document(view), {**headers, **place})

    async def _now(self, parked: Parked, accepted: Accepted) -> View:
        """The request as it stands. What was just accepted waits, and so does what Redis does not tell of."""
        view = None
        if not accepted.created:
            with suppress(StoreError):
                view = await self.lane.view(accepted.id)
        return view or View(replace(parked.work, id=accepted.id), WorkState.QUEUED)


def _batches(method: str, path: str) -> bool:
    return method == "POST" and path in _ENDPOINTS


def call_of(scope: Scope, path: str, body: bytes) -> Call:
    """``path``: of the live call."""
    headers = texts(scope)
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    return Call(scope, path, headers, body, fields if isinstance(fields, dict) else {}, wish_of(headers))
