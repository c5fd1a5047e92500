"""Our own endpoints in the proxy's app, under ``/fivelevers/v1``.

Outcomes are for every caller, switches for admins; health and metrics are open, and name nobody.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from fivelevers import __version__, metrics
from fivelevers.errors import StoreError
from fivelevers.lane.watch import LaneState
from fivelevers.metering.event import OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.proxies.litellm import http_switches
from fivelevers.proxies.litellm.authentication import admin, any_caller
from fivelevers.proxies.litellm.identity import owns
from fivelevers.proxies.litellm.quantized import voids
from fivelevers.proxies.litellm.reading import key_name
from fivelevers.proxies.litellm.state import State
from fivelevers.stores.switches import StoreState
from fivelevers.switch import ANY, Action, check

PREFIX = "/fivelevers/v1"


class OutcomeIn(BaseModel):
    """What the caller says about an answer; ``request_id`` came with it in the header x-fivelevers-request."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(pattern=r"^[0-9a-fA-F-]{32,36}$")
    outcome: Literal["success", "failure"]
    detail: str | None = Field(default=None, max_length=500)


class SwitchedOff(BaseModel):
    """One place that is off; ``*`` for every route or lever. Who and why is for admins: ``GET /fivelevers/v1/off``."""

    route: str
    lever: str
    kind: Literal["off", "retreat"]


class TakeBackIn(BaseModel):
    """What shall be answered from the store no more: everything of a route, tenant, model or tag, or one entry."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["route", "tenant", "model", "tag", "entry"]
    name: str = Field(min_length=1, max_length=500)


class Health(BaseModel):
    """``off``: started with FIVELEVERS_OFF. ``policy`` is a hash; times are UTC. ``lane``: its Redis. ``embedder``:
    what is wrong with lever 2's own, if anything is. ``quantization``: by route, why lever 5 lets nothing pass.
    """

    version: str
    policy: str
    policy_problem: str | None
    policy_since: datetime | None
    routes: list[str]
    off: bool
    switches: list[SwitchedOff]
    redis: StoreState
    ledger: StoreState
    lane: LaneState
    embedder: str | None
    quantization: dict[str, str]


def router(state: State) -> APIRouter:
    """The endpoints over this process's state."""
    routes = APIRouter(prefix=PREFIX, tags=["fivelevers"])
    routes.include_router(http_switches.router(state))

    @routes.post("/outcomes", status_code=202)
    async def post_outcome(said: OutcomeIn, caller: Annotated[Any, Depends(any_caller)]) -> dict[str, str]:
        """Report whether an answer did its job. Every key may speak about its own requests and nobody else's."""
        request_id = said.request_id.replace("-", "").lower()
        if not owns(request_id, key_name(caller)):
            # One answer for "unknown" and "not yours": nobody learns which ids exist.
            raise HTTPException(404, f"request_id: {said.request_id!r} is not a request of this key")
        seen = OutcomeSeen(
            uuid.uuid4().hex, request_id, time.time(), Outcome(said.outcome), Source.EXPLICIT, said.detail
        )
        state.meter.record(seen)
        if seen.outcome is Outcome.FAILURE:
            await _take_back(state, request_id)
        return {"request_id": request_id, "outcome": said.outcome}

    @routes.post("/cache/forget")
    async def post_forget(wanted: TakeBackIn, caller: Annotated[Any, Depends(admin)]) -> dict[str, str]:
        """Take stored answers back, on every replica within a second; as `fivelevers cache forget` does."""
        try:
            if wanted.what == "route":
                check(wanted.name, ANY, None, [route.name for route in state.policy.current().routes])
            done = await state.answers.take_back(wanted.what, wanted.name)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        except StoreError as error:
            raise HTTPException(503, f"nothing was taken back: {error}") from error
        return {"what": wanted.what, "name": wanted.name, "done": done}

    @routes.get("/metrics")
    async def get_metrics() -> Response:
        """Prometheus exposition; open like LiteLLM's own /metrics, since it names no user and no key."""
        return Response(metrics.scrape(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/health")
    async def get_health() -> Health:
        """What acts now: version, policy, whether its file is usable, what is off. 200 whenever the process serves."""
        policy, switches = state.policy.current(), state.switches
        since = switches.policy_change
        return Health(
            version=__version__,
            policy=policy.hash,
            policy_problem=state.policy.problem,
            policy_since=datetime.fromtimestamp(since.at, UTC) if since and since.new == policy.hash else None,
            routes=[route.name for route in policy.routes],
            off=state.off,
            switches=[
                SwitchedOff(route=s.route, lever=s.lever, kind="retreat" if s.action is Action.RETREAT else "off")
                for s in switches.current().standing
            ],
            redis=switches.states["redis"],
            ledger=switches.states["ledger"],
            lane=state.lane.state,
            embedder=state.embedders.problem,
            quantization=voids(state),
        )

    return routes


async def _take_back(state: State, request_id: str) -> None:
    """What a failed answer was served from is not served again."""
    try:
        entry = await state.answers.served_from(request_id)
        if entry is not None:
            await state.answers.forget_question(*entry)
    except StoreError as error:
        metrics.count_bypass("semantic_cache", "redis", error)
