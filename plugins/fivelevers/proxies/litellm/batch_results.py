"""What follows when a request of the lane has ended: its row in the ledger, the caller's spend, judgement, the answer
store; and the live call of one whose deadline comes near.

All of it may be done twice, after a crash: what the ledger is told has ids that are made of the request's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import orjson

from fivelevers import metrics
from fivelevers.answer import StoredAnswer
from fivelevers.audit.answers import said_in
from fivelevers.batched import answer_of, output_of, plan_of
from fivelevers.content import keep
from fivelevers.engine import Answer, Plan, settle
from fivelevers.levers.batch.work import Endpoint, Result, View, Work
from fivelevers.metering.content import wanted
from fivelevers.metering.event import Attempt, OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.metering.validators import judge
from fivelevers.proxies.litellm import batch_spend, flight, own_calls, reading, spans
from fivelevers.proxies.litellm.answering import answering
from fivelevers.proxies.litellm.batch_keys import Keys, refusal
from fivelevers.proxies.litellm.state import State
from fivelevers.tools import tools_of

LEVER: Final = "batch"
LIVE_LIMIT_S: Final = 600.0
_CALLS: Final = {
    Endpoint.CHAT: "acompletion",
    Endpoint.RESPONSES: "aresponses",
    Endpoint.MESSAGES: "aanthropic_messages",
    Endpoint.EMBEDDINGS: "aembedding",
}
_REFUSALS: Final = frozenset({400, 401, 403, 404, 413, 422})  # another try would be answered the same


class BatchResults:
    """Over one process's state."""

    def __init__(self, state: State) -> None:
        self.state, self.keys = state, Keys()

    async def ended(self, view: View) -> None:
        """A request has ended. What was asked live was metered as it was answered; what was not sent costs nothing."""
        result = view.result
        metrics.count_in_lane(view.state.value)
        if result is None or (result.live and result.status < 400):
            return
        plan, answer = plan_of(view.work, self.state.policy.current()), answer_of(view.work, result)
        if result.live:
            self._said(plan, result.at, Outcome.FAILURE, Source.PROVIDER, answer.error)
            return
        charged_to = None if plan.charged_to is None else plan.charged_to[0]
        attempt = self._record(plan, answer, "row", charged_to=charged_to)
        await self._guarded(lambda: batch_spend.give_back(view.work, attempt))
        if charged_to is not None:  # none of the route's traffic
            return
        body = _object(result.body)
        await self._guarded(lambda: self._outcomes(plan, answer, body, _object(view.work.body)))
        await self._guarded(lambda: self._remember(plan, answer, body, view.work))

    async def late(self, view: View, result: Result) -> None:
        """A row came after its request had ended otherwise: it is on the bill, and answers nobody."""
        work = view.work
        plan, answer = plan_of(work, self.state.policy.current()), answer_of(work, result)
        if answer.success:
            attempt = self._record(plan, answer, f"late:{result.provider_batch}", charged_to=LEVER)
            await self._guarded(lambda: batch_spend.give_back(work, attempt))

    def _record(self, plan: Plan, answer: Answer, what: str, *, charged_to: str | None) -> Attempt:
        event_id = _event_id(plan.request_id, what)
        attempt = settle(plan, answer, self.state.prices, event_id=event_id, batch=True, charged_to=charged_to)
        self.state.meter.record(attempt)
        spans.emit(attempt)
        if answer.usage is not None and charged_to is None:
            self.state.outputs.learn(plan.route.name, answer.usage.output)
        return attempt

    async def _outcomes(self, plan: Plan, answer: Answer, body: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        if not answer.success or reading.truncated(answer.finish_reason):
            why = answer.error or f"truncated: {answer.finish_reason}"
            self._said(plan, answer.at, Outcome.FAILURE, Source.PROVIDER, why)
        if not answer.success:
            return
        output = output_of(body)
        if plan.route.validators:
            checks = self.state.checks.of(self.state.policy.current().hash, plan.route)
            told = await asyncio.to_thread(judge, checks, output, tools_of(sent))
            if told.problem is not None:
                metrics.count_bypass("metering", "validators", told.problem)
            if told.outcome is not Outcome.UNKNOWN:
                self._said(plan, answer.at, told.outcome, Source.VALIDATOR, told.detail)
        if wanted(plan.route, plan.session):
            keep(plan, sent, output, at=answer.at, sealer=self.state.sealer, meter=self.state.meter)

    def _said(self, plan: Plan, at: float, outcome: Outcome, source: Source, detail: str | None) -> None:
        if plan.charged_to is not None:
            return
        event_id = _event_id(plan.request_id, source.value)
        self.state.meter.record(OutcomeSeen(event_id, plan.request_id, at, outcome, source, detail))

    async def _remember(self, plan: Plan, answer: Answer, body: Mapping[str, Any], work: Work) -> None:
        """A whole text enters the answer store, where the route has one and the caller did not forbid it."""
        learner = answering(plan, self.state)
        said = said_in(body)
        if learner is None or said is None or not said.whole or not said.text or answer.usage is None:
            return
        if work.about.get("no_store"):
            return
        settings = plan.route.levers.semantic_cache
        fresh = StoredAnswer(
            text=said.text,
            model=answer.model,
            provider=answer.provider,
            deployment=answer.deployment,
            usage=answer.usage,
            created_at=answer.at,
            expires_at=answer.at + settings.ttl_s,
        )
        await learner.remember({**_object(work.body), "model": plan.request.model}, fresh)

    async def rescue(self, work: Work) -> Result:
        """Asked live through the proxy's router, as the caller's. Raises where another try may do better."""
        standing = await self.keys.standing(work)
        if standing != "good":
            return refusal(work, standing)
        router = own_calls.router()
        plan = plan_of(work, self.state.policy.current())
        call = getattr(router, _CALLS[work.group.endpoint])
        arguments = {**_object(work.body), "model": plan.request.model}
        bucket = "metadata" if work.group.endpoint in (Endpoint.CHAT, Endpoint.EMBEDDINGS) else "litellm_metadata"
        arguments[bucket] = batch_spend.identity(work)

        async def asked() -> Any:
            flight.current.set(flight.Flight(plan, self.state))
            async with asyncio.timeout(LIVE_LIMIT_S):
                return await call(**arguments)

        try:
            answer = await asyncio.get_running_loop().create_task(asked())
        except Exception as error:
            status = getattr(error, "status_code", None)
            if status not in _REFUSALS:
                raise
            told = {"error": {"message": str(error)[:2000], "type": "invalid_request_error", "code": str(status)}}
            return Result(work.id, int(status), orjson.dumps(told), time.time(), live=True)
        document = answer if isinstance(answer, dict) else answer.model_dump(mode="json", exclude_none=True)
        return Result(work.id, 200, orjson.dumps(document), time.time(), live=True)

    async def _guarded(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except Exception as error:
            metrics.count_bypass(LEVER, "result", error)


def _event_id(request_id: str, what: str) -> str:
    return sha256(f"{request_id}:{what}".encode()).hexdigest()[:32]


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
