"""Our own endpoints in the proxy's app, under ``/fivelevers/v1``.

LiteLLM refuses ordinary keys on paths that it does not know. So the key is checked by LiteLLM's own authentication on a
copy of the request that names a path on which every caller of a model is allowed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from pydantic import BaseModel, ConfigDict, Field

from fivelevers import __version__, metrics
from fivelevers.metering.event import OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.proxies.litellm.identity import owns
from fivelevers.proxies.litellm.reading import key_name
from fivelevers.proxies.litellm.state import State

PREFIX = "/fivelevers/v1"
_A_PATH_FOR_EVERY_CALLER = "/v1/models"


class OutcomeIn(BaseModel):
    """What the caller says about an answer; ``request_id`` came with it in the header x-fivelevers-request."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(min_length=32, max_length=36)
    outcome: Literal["success", "failure"]
    detail: str | None = Field(default=None, max_length=500)


def router(state: State) -> APIRouter:
    """The endpoints over this process's state."""
    routes = APIRouter(prefix=PREFIX, tags=["fivelevers"])

    @routes.post("/outcomes", status_code=202)
    async def post_outcome(request: Request, said: OutcomeIn) -> dict[str, str]:
        """Report whether an answer did its job. Every key may speak about its own requests and nobody else's."""
        caller = await _authenticated(request)
        request_id = said.request_id.replace("-", "").lower()
        if not owns(request_id, key_name(caller)):
            # One answer for "unknown" and "not yours": nobody learns which ids exist.
            raise HTTPException(404, f"request_id: {said.request_id!r} is not a request of this key")
        seen = OutcomeSeen(
            uuid.uuid4().hex, request_id, time.time(), Outcome(said.outcome), Source.EXPLICIT, said.detail
        )
        state.meter.record(seen)
        return {"request_id": request_id, "outcome": said.outcome}

    @routes.get("/metrics")
    async def get_metrics() -> Response:
        """Prometheus exposition; open like LiteLLM's own /metrics, since it names no user and no key."""
        return Response(metrics.scrape(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/health")
    async def get_health() -> dict[str, Any]:
        """What acts now: version, policy and whether its file is usable. 200 whenever the process serves."""
        policy = state.policy.current()
        return {
            "version": __version__,
            "policy": policy.hash,
            "policy_problem": state.policy.problem,
            "routes": [route.name for route in policy.routes],
        }

    return routes


async def _authenticated(request: Request) -> Any:
    """LiteLLM's verdict on the caller's key; raises as LiteLLM does (401, 403 ...)."""
    scope = {**request.scope, "path": _A_PATH_FOR_EVERY_CALLER, "raw_path": _A_PATH_FOR_EVERY_CALLER.encode()}
    scope |= {"method": "GET", "query_string": b"", "state": {}}
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
    scope["headers"] = headers
    copy = Request(scope, _nothing_to_read())

    def header(name: str) -> str | None:
        return request.headers.get(name)

    return await user_api_key_auth(
        request=copy,
        api_key=header("authorization") or "",
        azure_api_key_header=header("api-key") or "",
        anthropic_api_key_header=header("x-api-key"),
        google_ai_studio_api_key_header=None,
        azure_apim_header=None,
        custom_litellm_key_header=header("x-litellm-api-key"),
    )


def _nothing_to_read() -> Callable[[], Awaitable[dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive
