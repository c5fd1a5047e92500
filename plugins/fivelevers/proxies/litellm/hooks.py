"""LiteLLM's hooks: each carries out a decision of the engine or hands it what happened.

Whatever goes wrong in here, the request goes on as it would without us: it is counted, and said in one log line.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from fivelevers import metrics
from fivelevers.engine import Answer, prepare
from fivelevers.metering.event import Attempt
from fivelevers.order import LEVERS
from fivelevers.policy import EMPTY, Caller
from fivelevers.prices import Usage
from fivelevers.proxies.litellm import reading
from fivelevers.proxies.litellm.answer_cache import FREE
from fivelevers.proxies.litellm.answering import ENTRY_HEADER, HEADER, answering
from fivelevers.proxies.litellm.answering import LEVER as ANSWERS
from fivelevers.proxies.litellm.cascade_watch import cascade_watching
from fivelevers.proxies.litellm.cascading import HEADER as CASCADE_HEADER
from fivelevers.proxies.litellm.cascading import PROVIDER, cascading
from fivelevers.proxies.litellm.charging import charging
from fivelevers.proxies.litellm.flight import Flight, current, failed_answer, free
from fivelevers.proxies.litellm.identity import new_request_id
from fivelevers.proxies.litellm.judging import judging
from fivelevers.proxies.litellm.keeping import note
from fivelevers.proxies.litellm.lane_route import mount, mount_through
from fivelevers.proxies.litellm.marking import marking
from fivelevers.proxies.litellm.parking import parking, request_id_of, told_of
from fivelevers.proxies.litellm.pinning import pinning
from fivelevers.proxies.litellm.quantized import HEADER as QUANTIZED_HEADER
from fivelevers.proxies.litellm.quantized import originals_of
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.routing import HEADER as ROUTING_HEADER
from fivelevers.proxies.litellm.routing import MODEL_HEADER, routing
from fivelevers.proxies.litellm.state import State
from fivelevers.proxies.litellm.watching import watching
from fivelevers.request import Api, Request
from fivelevers.stores.redis_config import LANE_URL
from fivelevers.switch import SKIP_HEADER

_UNPRICED_USD = 0.01  # so that a budget ends whatever the judge costs

Hook = Callable[..., Coroutine[Any, Any, Any]]


def _fails_open(hook: Hook) -> Hook:
    """Whatever a hook raises, the request goes on: it is counted under the hook's name and logged once a minute."""

    @wraps(hook)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return await hook(*args, **kwargs)
        except Exception as error:
            metrics.count_bypass("all", hook.__name__, error)

    return guarded


class FiveLevers(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    """LiteLLM fires several of these hooks only where they are defined on the instance's own class: keep them here."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.from_environment()

    @_fails_open
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        current.set(None)  # what a reused context may still hold is another request's
        started = time.perf_counter()
        caller = reading.caller_of(user_api_key_dict, data)
        request, hints = reading.request_of(data, call_type)
        asked_at = reading.arrived_at(data, time.time())
        policy = self.state.policy.current()
        self.state.lever_guard.ensure()
        plan = prepare(
            request,
            hints,
            caller,
            policy,
            request_id=request_id_of(caller.key),
            now=asked_at,
            off=self.state.levers_off,
            retreated=self.state.switches.current().retreated,
        )
        plan = charging(plan, user_api_key_dict, policy)
        metrics.count_skipped(plan.skipped, plan.unknown_skips)
        flight = Flight(plan, self.state)
        flight.span = getattr(user_api_key_dict, "parent_otel_span", None)
        if flight.charged_to is None:
            _act(flight, data, hints)
        flight.watch(asyncio.current_task())
        current.set(flight)
        metrics.time_decision(plan.route.name, time.perf_counter() - started)
        flight.answering = answering(plan, self.state) if flight.charged_to is None else None
        if flight.answering is not None:
            flight.hit = await flight.answering.look_up(data, hints)
        flight.parking = parking(plan, data, user_api_key_dict, self.state, answered=flight.hit is not None)

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        kwargs = request_kwargs or {}
        routed = await self._routed(model, healthy_deployments, kwargs) or healthy_deployments
        chosen = await self._quantized(model, routed, kwargs) or await self._originals(routed) or routed
        return await self._pinned(model, chosen, kwargs) or chosen

    @_fails_open
    async def _routed(self, group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        flight = current.get()
        if flight is None or flight.routing is None:
            return None
        answered = flight.hit is not None or flight.parking is not None
        return await flight.routing.among(group, deployments, kwargs, answered=answered)

    @_fails_open
    async def _quantized(self, group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        flight = current.get()
        if flight is None:
            return None
        answered = flight.hit is not None or flight.parking is not None
        return await flight.quantized.among(group, deployments, kwargs, answered=answered)

    @_fails_open
    async def _originals(self, deployments: list[Any]) -> list[Any] | None:
        """What nobody decided about is not sent to a quantised model: a call without a plan, after a fault of ours."""
        originals = originals_of(deployments)
        return originals if len(originals) < len(deployments) else None

    @_fails_open
    async def _pinned(self, group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        flight = current.get()
        return (
            None
            if flight is None or flight.pinning is None or flight.hit is not None or flight.parking is not None
            else await flight.pinning.among(group, deployments, kwargs)
        )

    @_fails_open
    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        flight = current.get()
        if flight is None:
            return
        deployment = reading.deployment_of(kwargs, call_type, time.time())
        if deployment.provider == PROVIDER:  # a cascade: what it asks is called by itself
            return
        flight.start(str(kwargs.get("litellm_call_id")), deployment)
        if flight.parking is not None and flight.hit is None:
            flight.hit = await flight.parking.chosen(kwargs, deployment)
        if flight.hit is not None or flight.charged_to is not None:
            return
        if flight.marking is not None:
            await flight.marking.mark(kwargs, call_type, deployment)
        self.state.watch.see(flight.plan, kwargs, deployment)

    @_fails_open
    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """One failed attempt, each retry and fallback too; bridged calls tell it twice, the second finds none open."""
        flight = current.get()
        deployment = flight.end(str(request_data.get("litellm_call_id"))) if flight else None
        if flight is not None and deployment is not None:
            flight.record(failed_answer(deployment, type(exception).__name__, time.time()))
            if flight.marking is not None:
                flight.marking.failed(type(exception).__name__, str(exception), now=time.time())
            if flight.pinning is not None:
                await flight.pinning.failed(deployment.id)
            if flight.routing is not None:
                flight.routing.failed(deployment.id)
            flight.quantized.failed(deployment.id)

    @_fails_open
    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        flight = current.get() or self._unplanned(mapping(kwargs.get("standard_logging_object")))
        deployment = flight.end(str(kwargs.get("litellm_call_id")))
        if flight.parked:
            if flight.answering is not None:
                flight.answering.ended()
            return
        cascaded = flight.cascaded if deployment is None else None
        if cascaded is not None:
            deployment = cascaded.asked
        answer = reading.answer_of(kwargs, response_obj, deployment, start_time.timestamp(), end_time.timestamp())
        if answer.provider == PROVIDER:  # a cascade that nobody planned: the strong model's call was told before
            return
        if cascaded is not None:
            await self._tell(flight, answer, kwargs, response_obj)  # each of its attempts is metered by itself
            return
        if flight.served:
            answer = free(answer)
        attempt = flight.record(answer)
        if flight.charged_to is not None:
            if flight.heard is not None and not flight.heard.done():
                flight.heard.set_result((answer, response_obj))
            await self._charge(flight, attempt)
            return
        if answer.usage is not None:
            self.state.outputs.learn(flight.plan.route.name, answer.usage.output)
        await self._tell(flight, answer, kwargs, response_obj)

    async def _tell(self, flight: Flight, answer: Answer, kwargs: dict[str, Any], response_obj: Any) -> None:
        """Each part of the request learns what its answer was."""
        if flight.answering is not None:
            plain = None if flight.marking is None else flight.marking.plain(answer.usage)
            flight.answering.answered(kwargs, response_obj, answer, plain=plain, served=flight.served)
        if flight.marking is not None:
            flight.marking.answered(answer.usage, reported=answer.reported, now=answer.at)
        if flight.pinning is not None:
            await flight.pinning.answered(answer, kwargs)
        if flight.routing is not None:
            await flight.routing.answered(answer)
        if flight.watching is not None and not flight.served:
            flight.watching.answered(answer, response_obj)
        if flight.noted is not None:
            flight.noted.answered(kwargs, response_obj, answer.at)
        if flight.judging is not None:
            flight.judging.answered(answer, response_obj)
        if reading.truncated(answer.finish_reason):
            flight.fail(f"truncated: {answer.finish_reason}")

    async def _charge(self, flight: Flight, attempt: Attempt | None) -> None:
        """A lever's own call counts against what its route may spend in a day; one of unknown price as a cent.

        A cascade's second weak answer does not: its price is within what the cascade may cost.
        """
        if attempt is None:
            return
        usd = _UNPRICED_USD if attempt.cost_usd is None else float(attempt.cost_usd)
        if attempt.charged_to == ANSWERS:
            await self.state.judge_spend.add(attempt.route, usd)
        elif flight.heard is not None:  # a watch's
            await self.state.watch_spend.add(attempt.route, usd)

    @_fails_open
    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        """Told once per request and late, so it ends no attempt; but it may know what a broken stream had used."""
        flight = current.get()
        deployment = flight.find(str(kwargs.get("litellm_call_id"))) if flight else None
        log = mapping(kwargs.get("standard_logging_object"))
        if deployment is not None and log.get("prompt_tokens"):
            deployment.partial = Usage(input=log["prompt_tokens"], output=log.get("completion_tokens") or 0)

    @_fails_open
    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        flight = current.get()
        if flight is not None:
            flight.fail(type(original_exception).__name__)
            if flight.answering is not None:
                flight.answering.ended()

    @_fails_open
    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        flight = current.get()
        if flight is None:
            return None
        headers = told_of(flight.plan)
        if flight.answered_by and response is not None:
            headers[MODEL_HEADER] = flight.answered_by
        for name, part in (
            ("x-fivelevers-prompt-cache", flight.marking),
            ("x-fivelevers-affinity", flight.pinning),
            (ROUTING_HEADER, flight.routing),
            (CASCADE_HEADER, flight.cascading),
            (QUANTIZED_HEADER, flight.quantized),
            (HEADER, flight.answering),
        ):
            if part is not None and part.said:
                headers[name] = part.said
        if flight.answering is not None and flight.served:
            headers |= {**FREE, ENTRY_HEADER: flight.answering.entry}
        if flight.plan.skipped:
            every = len(flight.plan.skipped) == len(LEVERS)
            headers[SKIP_HEADER] = "all" if every else ",".join(flight.plan.skipped)
        if flight.plan.unknown_skips:
            headers[f"{SKIP_HEADER}-unknown"] = str(flight.plan.unknown_skips)
        return headers

    def _unplanned(self, log: Mapping[str, Any]) -> Flight:
        """A call that passed no pre-call hook (a health check, a job of the proxy): metered on the default route."""
        about = mapping(log.get("metadata"))
        caller = Caller(
            path="",
            headers={},
            key=str(about.get("user_api_key_hash") or "internal"),
            key_alias=about.get("user_api_key_alias"),
            team=about.get("user_api_key_team_id"),
        )
        request = Request(Api.OTHER, str(log.get("model_group") or ""), log.get("stream") is True, (), b"")
        plan = prepare(request, {}, caller, EMPTY, request_id=new_request_id(caller.key), now=time.time())
        return Flight(plan, self.state)


def _act(flight: Flight, data: dict[str, Any], hints: Mapping[str, Any]) -> None:
    """What is done about a client's request, and about no call of a lever's own."""
    plan, state = flight.plan, flight.state
    flight.judging = judging(plan, hints, state)
    flight.noted = note(plan, data, state)
    flight.marking = marking(plan, data, state)
    flight.pinning = pinning(plan, hints, state)
    flight.routing = routing(plan, hints, state)
    flight.cascading = cascading(plan, data, hints, state)
    flight.watching = watching(flight.routing, data) or cascade_watching(flight.cascading)


plugin = FiveLevers()


def _serve(state: State) -> None:
    """Add our endpoints to the proxy's app. Outside a proxy (an import in a test, the SDK) there is none."""
    proxy = sys.modules.get("litellm.proxy.proxy_server")
    if proxy is None:
        return
    from fivelevers.proxies.litellm.http import router

    proxy.app.include_router(router(state))
    _serve_lane(proxy.app, state)
    state.switches.start(wait_s=2.0)  # the first request shall know what was switched off before this start


def _serve_lane(app: Any, state: State) -> None:
    """The lane's paths are on every proxy: without a Redis of its own, or after a fault of ours, all goes live."""
    try:
        from fivelevers.lane.app import LaneApp, handles
        from fivelevers.proxies.litellm import lane_worker
        from fivelevers.proxies.litellm.lane import ProxyHost
        from fivelevers.stores.lane import Lane

        url = os.environ.get(LANE_URL)
        lane = Lane(url) if url else None
        mount(app, LaneApp(lane, ProxyHost(app)), handles)
        if lane is not None:
            lane_worker.start(lane, state)
    except Exception as error:
        metrics.count_bypass("batch", "mount", error)
        mount_through(app)


def _settle_all() -> None:
    for flight in tuple(plugin.state.unsettled):
        flight.give_up()


_serve(plugin.state)
atexit.register(_settle_all)
