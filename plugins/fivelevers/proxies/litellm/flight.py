"""One request on its way through the proxy: its plan, what each lever does to it, and the attempts to answer it."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fivelevers.answer_caching import cost_of_hit
from fivelevers.engine import Answer, Plan, WithoutUs, settle
from fivelevers.metering.event import Attempt, OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.proxies.litellm import spans
from fivelevers.proxies.litellm.quantized import Quantized
from fivelevers.proxies.litellm.reading import Deployment
from fivelevers.proxies.litellm.state import State

if TYPE_CHECKING:
    from fivelevers.proxies.litellm.answer_cache import Hit
    from fivelevers.proxies.litellm.answering import Answering
    from fivelevers.proxies.litellm.cascade_watch import CascadeWatching
    from fivelevers.proxies.litellm.cascading import Cascading
    from fivelevers.proxies.litellm.judging import Judging
    from fivelevers.proxies.litellm.keeping import Noted
    from fivelevers.proxies.litellm.marking import Marking
    from fivelevers.proxies.litellm.parking import Parking
    from fivelevers.proxies.litellm.pinning import Pinning
    from fivelevers.proxies.litellm.routing import Routing
    from fivelevers.proxies.litellm.watching import Watching

# LiteLLM's errors for calls that the provider did not answer: it may have finished them, and billed them, all the same.
# Every other error carries a status that the provider itself gave, and refusals are free.
_MAYBE_BILLED = frozenset({"Timeout", "APIConnectionError", "Interrupted"})


class Flight:
    """One request on its way: its plan, and the attempts that have started and that nobody has reported on yet.

    ``charged_to``: the lever whose own call it is (a judge's, an embedder's), made about the request of ``plan``; or
    the request itself is one, which a program outside makes.

    LiteLLM tells how most attempts end, moments after the client has its answer. It is silent where a stream breaks and
    is retried, or a client leaves before the first byte; those are recorded when the next attempt of the same call
    starts, or ``PATIENCE_S`` after the request's task has ended.
    """

    PATIENCE_S = 10.0

    def __init__(self, plan: Plan, state: State, *, charged_to: str | None = None) -> None:
        self.plan = plan
        self.state = state
        self.charged_to = plan.charged_to[0] if plan.charged_to is not None else charged_to
        self.span: Any = None
        self.noted: Noted | None = None
        self.judging: Judging | None = None
        self.marking: Marking | None = None
        self.pinning: Pinning | None = None
        self.routing: Routing | None = None
        self.quantized = Quantized(plan, state, own=self.charged_to is not None)
        self.watching: Watching | CascadeWatching | None = None
        self.heard: asyncio.Future[tuple[Answer, Any]] | None = None  # of a lever's own call: its answer
        self.cascading: Cascading | None = None
        self.answering: Answering | None = None
        self.parking: Parking | None = None
        self.hit: Hit | None = None
        self.asked: Deployment | None = None
        self.failed = False
        self._open: dict[str, Deployment] = {}

    @property
    def answered_by(self) -> str | None:
        """The model that was asked last, with its provider."""
        return f"{self.asked.provider}/{self.asked.model}" if self.asked is not None else None

    def start(self, call_id: str, deployment: Deployment) -> None:
        """A deployment is called. A bridged call says so twice, the inner one under another call type."""
        before = self._open.get(call_id)
        if before is not None and before.call_type != deployment.call_type:
            return
        if before is not None:
            self.lost(before)
        self._open[call_id] = deployment
        self.asked = deployment

    def end(self, call_id: str) -> Deployment | None:
        return self._open.pop(call_id, None)

    def find(self, call_id: str) -> Deployment | None:
        return self._open.get(call_id)

    @property
    def served(self) -> bool:
        """Whether the request was answered from our own store. LiteLLM's log does not always say so."""
        return self.hit is not None and self.hit.given

    @property
    def cascaded(self) -> Flight | None:
        """The call of a cascade whose answer this request was given."""
        return None if self.cascading is None or self.served else self.cascading.gave

    @property
    def parked(self) -> bool:
        """Whether what LiteLLM took for an answer is lever 3's placeholder: there was no attempt, and is no answer."""
        return self.parking is not None and self.parking.offer.held is not None

    def lost(self, deployment: Deployment) -> None:
        """An attempt whose end nobody told: it may be on the bill, so its tokens are estimated. A hit is on none."""
        if self.parked:
            return
        ended = failed_answer(deployment, "Interrupted", time.time())
        self.record(free(ended) if self.served else ended)

    def watch(self, task: asyncio.Task[Any] | None) -> None:
        """Notice the end of the task that serves this request, its streamed body included."""
        if task is not None:
            task.add_done_callback(lambda done: self._served(done.get_loop()))

    def _served(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._open:
            self.state.unsettled.add(self)
            loop.call_later(self.PATIENCE_S, self.give_up)

    def give_up(self) -> None:
        """Nobody will tell any more how the open attempts ended."""
        self.state.unsettled.discard(self)
        while self._open:
            _, deployment = self._open.popitem()
            self.lost(deployment)
        if self.answering is not None:
            self.answering.ended()

    def record(self, answer: Answer) -> Attempt | None:
        """An attempt ended: meter it. None where it is not known yet what it amounts to."""
        attempt = settle(
            self.plan,
            answer,
            self.state.prices,
            event_id=uuid.uuid4().hex,
            without=self._without_us(answer),
            charged_to=self.charged_to,
        )
        self.state.meter.record(attempt)
        spans.emit(attempt, self.span)
        return attempt

    def _without_us(self, answer: Answer) -> tuple[WithoutUs, ...]:
        if not answer.success:
            return ()
        if self.hit is not None and self.hit.given:
            return cost_of_hit(self.hit.answer, now=answer.at)
        without = self.marking.without_us(answer.usage) if self.marking else None
        before: tuple[WithoutUs, ...] = (without,) if without else ()
        return self.quantized.without_us(answer, self._unrouted(answer, before))

    def _unrouted(self, answer: Answer, before: tuple[WithoutUs, ...]) -> tuple[WithoutUs, ...]:
        """Of an attempt that succeeded: lever 4's part, after what the levers before it changed."""
        return before if self.routing is None else self.routing.without_us(answer, before)

    def fail(self, detail: str) -> None:
        """The client gets no good answer: said once. Of a lever's own call nobody asks."""
        if not self.failed and self.charged_to is None:
            self.failed = True
            self.outcome(Outcome.FAILURE, Source.PROVIDER, detail)

    def outcome(self, outcome: Outcome, source: Source, detail: str | None = None) -> None:
        seen = OutcomeSeen(uuid.uuid4().hex, self.plan.request_id, time.time(), outcome, source, detail)
        self.state.meter.record(seen)


current: ContextVar[Flight | None] = ContextVar("fivelevers_flight", default=None)
"""Of the request that this task serves: visible in every hook of LiteLLM's, its log's too."""


def current_hit() -> Hit | None:
    """What the answer cache hands out for the request that this task serves."""
    flight = current.get()
    return flight.hit if flight is not None else None


def free(answer: Answer) -> Answer:
    """The same, given from our own store: no provider was asked, whatever LiteLLM made of it."""
    return replace(
        answer, success=True, error=None, usage=None, reported=True, provider_request_id=None, generated_chars=0
    )


def failed_answer(deployment: Deployment, error: str, now: float) -> Answer:
    """The end of an attempt that gave no answer; ``error`` is the class of LiteLLM's exception."""
    refused = error not in _MAYBE_BILLED
    return Answer(
        at=now,
        started_at=deployment.started_at,
        model=deployment.model,
        provider=deployment.provider,
        provider_key=deployment.provider_key,
        deployment=deployment.id,
        provider_request_id=None,
        success=False,
        error=error,
        finish_reason=None,
        usage=None if refused else deployment.partial,
        reported=refused,
    )
