"""A proxy for tests of the lane: it parks what it is offered, and what it answers live says so."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from fivelevers.lane.asgi import Receive, Scope, Send, json_answer, whole_body
from fivelevers.lane.call import Call, Owner, Parked, Refused
from fivelevers.lane.contract import fingerprint
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work


class ParkingHost:
    """The key in the Authorization header is the tenant. ``patience_s``: of everybody who holds a connection."""

    def __init__(self, patience_s: float = 3600.0, status: int = 200) -> None:
        self.patience_s, self.status = patience_s, status
        self.asked_live: list[tuple[str, str, str | None]] = []  # (path, why, work id)
        self.bodies: list[Mapping[str, Any]] = []
        self.offered: list[str] = []  # ids

    async def offer(self, call: Call, receive: Receive, send: Send) -> Parked | None:
        if call.fields.get("stream"):
            await self.live(call, "stream", receive, send)
            return None
        group = Group("openai", "api.openai.com/d1", Endpoint(call.path), "gpt-4.1-mini")
        tenant, now = _tenant(call.scope), time.time()
        body = orjson.dumps({name: value for name, value in call.fields.items() if name != "background"})
        work = Work(
            id=f"flr_{uuid.uuid4().hex}", group=group, tenant=tenant, route="tickets", body=body, accepted_at=now,
            deadline_at=now + 14_400, prompt_tokens=10, about={"alias": "tickets-nightly"}, terms=Terms(keep_s=600),
        )  # fmt: skip
        self.offered.append(work.id)
        return Parked(work, self.patience_s, fingerprint(tenant, "tickets", call.fields), {"x-fivelevers-route": "t"})

    async def live(self, call: Call, why: str, receive: Receive, send: Send, *, work_id: str | None = None) -> None:
        self.asked_live.append((call.path, why, work_id))
        self.bodies.append(orjson.loads(await whole_body(receive) or b"null"))
        headers = {"x-fivelevers-lane": f"live; why={why}"}
        await json_answer(self.status, {"id": "live", "choices": [], "object": "chat.completion"}, headers).send(send)

    async def owner(self, scope: Scope) -> Owner:
        tenant = _tenant(scope)
        if not tenant:
            raise Refused(401, "no key")
        return Owner(frozenset({tenant}))


def _tenant(scope: Scope) -> str:
    headers = dict(scope["headers"])
    found: bytes = headers.get(b"authorization", b"")
    return found.decode().removeprefix("Bearer ")
