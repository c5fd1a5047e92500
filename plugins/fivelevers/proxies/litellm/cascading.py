"""Lever 4's cascade in LiteLLM: the weak model is asked, its answer is looked at, and where that is not good enough,
or nobody can tell, the strong one is asked.

Both are aliases of this proxy, called through its own router, so that their keys, prices, retries and fallbacks hold.
What they cost goes to the caller's key, the cascade itself costs nothing; each call is an attempt in the ledger.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import litellm
from litellm.litellm_core_utils.internal_call_metadata import forwarded_internal_call_metadata

from fivelevers import metrics
from fivelevers.engine import CHARS_PER_TOKEN, Payee, Plan
from fivelevers.levers.quantization.deployments import registration_of
from fivelevers.levers.routing.cascade import affordable
from fivelevers.levers.routing.prompt import tie_of
from fivelevers.metering.cost import Unknown, cost, payable
from fivelevers.order import Mode
from fivelevers.policy import CascadeSwitch
from fivelevers.prices import Usage
from fivelevers.proxies.litellm import flight
from fivelevers.proxies.litellm.cascade_looks import Looks, looks
from fivelevers.proxies.litellm.cascade_scorer import scorer_of
from fivelevers.proxies.litellm.decision import decision
from fivelevers.proxies.litellm.marking import marking
from fivelevers.proxies.litellm.own_calls import router
from fivelevers.proxies.litellm.pinning import pinning
from fivelevers.proxies.litellm.state import State
from fivelevers.proxies.litellm.tiers import payee_of
from fivelevers.proxies.litellm.tried import LEVER, Tried

PROVIDER: Final = "fivelevers"
HEADER: Final = "x-fivelevers-cascade"
ORIGIN: Final = "fivelevers_cascade"
WEAK: Final = "weak"  # whose answer is given
STREAMED: Final = {"stream": True, "stream_options": {"include_usage": True}}
_NOT_OURS: Final = frozenset({"stream", "stream_options", "max_retries"})


@dataclass(frozen=True, slots=True)
class Call:
    """What the caller asks for, as a chat completion. ``metadata``: LiteLLM's, of the request."""

    messages: Sequence[Any]
    params: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def to(self, alias: str) -> dict[str, Any]:
        """The same for another alias: on the caller's bill, in nobody's rate limit twice, past every cache."""
        return {**self._at(alias), "metadata": forwarded_internal_call_metadata(self.metadata, ORIGIN)}

    def apart(self, alias: str) -> dict[str, Any]:
        """The same for a question of our own: on nobody's bill, once."""
        return {**self._at(alias), "num_retries": 0}

    def _at(self, alias: str) -> dict[str, Any]:
        params = {name: value for name, value in self.params.items() if name not in _NOT_OURS}
        cache = {"no-cache": True, "no-store": True}
        return {"model": alias, "messages": copy.deepcopy(self.messages), **params, "cache": cache}


@dataclass(frozen=True, slots=True)
class Begun:
    """A call, and how its weak answer will be looked at. ``strong`` None: there will be none."""

    call: Call
    what: Looks
    strong: Payee | None


class Cascading:
    """The cascade of one request. ``said`` goes into its header; ``gave``: the call whose answer the caller gets.

    ``weak``: what the weak model said, taken or not.
    """

    def __init__(self, plan: Plan, body: Mapping[str, Any], settings: CascadeSwitch, state: State) -> None:
        self.plan, self.body, self.settings, self.state = plan, body, settings, state
        self.said = ""
        self.gave: flight.Flight | None = None
        self.begun: Begun | None = None
        self.weak: Any = None

    def begin(self, call: Call) -> Begun:
        """What is done about a call. Does not wait: a stream's headers are sent before its answer is known."""
        why, scorer, strong = self._idle(), None, None
        if why is None and "scorer" in self.settings.verify:
            scorer, why = scorer_of(self.plan, self.body, self.settings, self.state)
        what = looks(self.plan, call.params, self.state, scorer)
        if why is None:
            strong, why = self._affordable(call, what)
        if strong is not None:
            self._say("weak-first")
        else:
            self._decided(f"strong-only:{why}")
        self.begun = Begun(call, what, strong)
        return self.begun

    @property
    def took_weak(self) -> bool:
        return self.said == WEAK

    def _idle(self) -> str | None:
        """Why the weak model is not asked, as far as that is known before the prompt is priced."""
        plan = self.plan
        mode = plan.mode(LEVER)
        if mode is not Mode.ON:
            if plan.arm.holdout:
                return "holdout"
            if LEVER in plan.skipped:
                return "skipped"
            untreated = plan.route.levers.routing.mode is Mode.ON and mode is Mode.OFF
            return "untreated" if untreated else mode.value
        tie = tie_of(plan.request.api, self.body)
        return None if tie is None else tie.value

    async def answer(self, begun: Begun) -> Any:
        """The answer, as a ``ModelResponse``. Raises what the strong model's call raises."""
        found = None
        if begun.strong is not None:
            found, why = await self._tried(begun.call, begun.what, begun.strong)
            self._decided(WEAK if found is not None else f"escalated:{why}")
        return found if found is not None else await self._strong(begun.call)

    async def stream(self, begun: Begun) -> AsyncIterator[Any]:
        """The strong model's answer as it comes, for a caller who gets nobody else's."""
        pieces: asyncio.Queue[Any] = asyncio.Queue()  # holds an answer at the most
        made = self.gave = flight.Flight(self.plan, self.state)

        async def read(answer: Any) -> None:
            async for piece in answer:
                pieces.put_nowait(piece)

        task = self._asked(begun.call, self.settings.strong, made, read, **STREAMED)
        task.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await task
        finally:
            task.cancel()

    def _decided(self, what: str) -> None:
        """For the header, and for `fivelevers explain`: of a stream, the header is sent before."""
        self._say(what)
        if what != "strong-only:off":
            model = self.settings.weak if what == WEAK else self.settings.strong
            self.state.meter.record(decision(self.plan, what, model, self.settings.strong))

    def _say(self, what: str) -> None:
        if self.said != what:
            self.said = what
            metrics.requests.labels(LEVER, f"cascade-{what}").inc()

    def _affordable(self, call: Call, what: Looks) -> tuple[Payee | None, str | None]:
        """The cheapest deployment of the strong model; None, and why, where a cascade is of no use."""
        if not what.any:
            return None, "unverifiable"
        if call.params.get("n") not in (None, 1):
            return None, "choices"
        settings = self.settings
        weak, strong = self._costs(settings.weak), self._costs(settings.strong)
        second = {} if settings.agrees_with is None else self._costs(settings.agrees_with)
        known = [usd for costs in (weak, strong, second) for usd in costs.values() if usd is not None]
        if what.by_chances and not all(map(_tells_chances, weak)):
            return None, "no-logprobs"
        if not weak or not strong or len(known) < len(weak) + len(strong) + len(second):
            return None, "unpriced"
        payee = min(strong, key=lambda one: strong[one] or Decimal(0))
        before = [float(max((usd or Decimal(0) for usd in costs.values()), default=0)) for costs in (weak, second)]
        if not affordable(before[0], before[1], float(strong[payee] or 0), settings.max_cost_ratio):
            return None, "too-dear"
        return payee, None

    def _costs(self, alias: str) -> dict[Payee, Decimal | None]:
        """What an answer of each deployment of an alias is expected to cost; None where its price is unknown."""
        route, chars = self.plan.route.name, self.plan.request.chars
        usage = Usage(input=-(-chars // CHARS_PER_TOKEN), output=round(self.state.outputs.of(route)))
        found: dict[Payee, Decimal | None] = {}
        for payee in _payees(alias):
            price = self.state.prices.price(payee.model, provider=payee.provider, deployment=payee.deployment)
            usd = cost(payable(usage, price), price)
            found[payee] = None if isinstance(usd, Unknown) else usd
        return found

    async def _tried(self, call: Call, what: Looks, strong: Payee) -> tuple[Any, str]:
        """The weak model's answer; None, and why in a word, where it is not taken."""
        tried = Tried(self.plan, self.state, strong)
        taken = False
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                found, second = await self._weak(call, what, tried)
                self.weak = found
                why = await what.distrust(found, second)
        except TimeoutError:
            return None, "timeout"
        except Exception as error:  # whatever went wrong, the strong model can answer
            return None, _kind(error)
        else:
            taken = why is None
            self.gave = tried if taken else None
            return (found, "") if why is None else (None, why)
        finally:
            tried.settle(taken=taken)

    async def _weak(self, call: Call, what: Looks, tried: Tried) -> tuple[Any, Any]:
        """What the weak model says and, where their agreement is looked at, what the second one does."""
        alias = self.settings.agrees_with if what.agreement else None
        more = {"logprobs": True} if what.by_chances else {}
        if alias is None:
            return await self._ask(call, self.settings.weak, tried, **more), None
        own = flight.Flight(self.plan, self.state, charged_to=LEVER)
        async with asyncio.TaskGroup() as both:
            first = both.create_task(self._ask(call, self.settings.weak, tried, **more))
            second = both.create_task(self._ask(call, alias, own))
        return first.result(), second.result()

    async def _strong(self, call: Call) -> Any:
        made = flight.Flight(self.plan, self.state)
        found = await self._ask(call, self.settings.strong, made)
        self.gave = made
        return found

    async def _ask(self, call: Call, alias: str, made: flight.Flight, **more: Any) -> Any:
        found: list[Any] = []

        async def keep(answer: Any) -> None:
            found.append(answer)

        await self._asked(call, alias, made, keep, **more)
        return found[0]

    def _asked(
        self, call: Call, alias: str, made: flight.Flight, then: Callable[[Any], Awaitable[None]], **more: Any
    ) -> asyncio.Task[None]:
        """One call through the proxy's router, in a task of its own, whose hooks see its own flight."""
        sent = {**call.to(alias), **more}
        plan = replace(self.plan, request=replace(self.plan.request, model=alias))
        if made.charged_to is None:
            made.marking = marking(plan, sent, self.state)
            made.pinning = pinning(plan, self.body, self.state)
        outer = flight.current.get()
        made.span = outer.span if outer is not None else None

        async def run() -> None:
            flight.current.set(made)
            made.watch(asyncio.current_task())
            await then(await router().acompletion(**sent))

        return asyncio.get_running_loop().create_task(run())


def _tells_chances(payee: Payee) -> bool:
    """Whether its chat completions can be asked for log-probabilities, as LiteLLM knows it."""
    known = litellm.get_supported_openai_params(model=payee.model, custom_llm_provider=payee.provider)
    return "logprobs" in (known or ())


def _kind(error: BaseException) -> str:
    """In a word: the weak model's call failed, or the look at its answer did."""
    if isinstance(error, BaseExceptionGroup):
        return _kind(error.exceptions[0])
    if hasattr(error, "llm_provider"):  # LiteLLM's exceptions say whose they are
        return "failed"
    metrics.count_bypass(LEVER, "verify", error)
    return "verifier"


def cascading(plan: Plan, data: dict[str, Any], body: Mapping[str, Any], state: State) -> Cascading | None:
    """None on most requests: their route has no cascade."""
    settings = plan.route.levers.routing.cascade
    if settings is None:
        return None
    if any(payee.provider == PROVIDER for payee in _payees(plan.request.model)):
        data["num_retries"] = 0  # its calls are retried; the cascade would multiply that
    return Cascading(plan, body, settings, state)


def _payees(alias: str) -> list[Payee]:
    """The deployments of an alias of this proxy, quantised ones last."""
    known = router()
    found = [] if known is None else known.get_model_list(model_name=alias) or ()
    return [payee_of(one) for one in sorted(found, key=lambda one: registration_of(one) is not None)]
