"""Lever 2 in LiteLLM: a request's look-up before anything is sent, and what its fresh answer teaches afterwards.

What is found is handed out by the answer cache (answer_cache.py), which LiteLLM asks in the place of a provider.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fivelevers import metrics
from fivelevers.answer import StoredAnswer, subject_tag
from fivelevers.answer_caching import Asked, Found, Learnt, Result, Tier, learn, look_up, may_judge
from fivelevers.answer_judging import Judges
from fivelevers.engine import Answer, Plan
from fivelevers.errors import FiveLeversError, StoreError
from fivelevers.levers.semantic_cache.cacheable import uncacheable
from fivelevers.levers.semantic_cache.question import question_of
from fivelevers.levers.semantic_cache.scope import Scope, question_id
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.levers.semantic_cache.verify import Spent
from fivelevers.levers.semantic_cache.wish import CacheWish, wish_of
from fivelevers.metering.event import LookedUp
from fivelevers.order import Mode
from fivelevers.policy import end_user_digest
from fivelevers.prices import Usage
from fivelevers.proxies.litellm import flight, own_calls
from fivelevers.proxies.litellm.answer_cache import Hit, ask, install
from fivelevers.proxies.litellm.answer_capture import answer_of_log
from fivelevers.proxies.litellm.identity import cache_secret
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api

LEVER = "semantic_cache"
HEADER = "x-fivelevers-semantic-cache"
ENTRY_HEADER = "x-fivelevers-semantic-cache-entry"
_ANSWERING = frozenset({Api.CHAT, Api.MESSAGES, Api.RESPONSES})


class Answering:
    """Lever 2 on one request. ``said`` goes into its header."""

    def __init__(self, plan: Plan, mode: Mode, state: State) -> None:
        self.plan, self.mode, self.state = plan, mode, state
        self.said = ""
        self.asked: Asked | None = None
        self.found: Found | None = None
        self._wish = CacheWish()
        self._afresh = ""  # why a route that serves does not serve this request, in a word

    async def look_up(self, data: dict[str, Any], body: Mapping[str, Any]) -> Hit | None:
        """Before the request is sent: find an answer, or learn that others wait for this one."""
        asked = self.asked = await self._question(body)
        if asked is None:
            return None
        started = time.monotonic()
        found = self.found = await look_up(asked, self.state.answers, self._embedder(), now=time.time())
        metrics.time_look_up(self.plan.route.name, time.monotonic() - started)
        if found.error is not None:
            metrics.count_bypass(LEVER, found.why, found.error)
        self.state.embedders.heard(found.error)
        self._say(found)
        if found.result is not Result.HIT or not asked.serving or found.answer is None or found.answer_id is None:
            return None
        if found.leads:
            await self._quietly(self.state.answers.release(asked.scope, asked.question))
        if install(flight.current_hit) is not None:
            self._bypass("host-cache")  # LiteLLM has a cache of the host's own, which stays
            return None
        ask(data)
        self.state.hold(asyncio.get_running_loop().create_task(self._note_served(asked)))
        call_id = str(data.get("litellm_call_id"))
        return Hit(self.plan.request.api, call_id, found.answer, found.answer_id)

    async def _question(self, body: Mapping[str, Any]) -> Asked | None:
        """What is asked of the store; None, with the reason said, where this request has no business there."""
        plan, api, route = self.plan, self.plan.request.api, self.plan.route
        settings = route.levers.semantic_cache
        wish = self._wish = wish_of(body.get("cache"), plan.caller.headers.get("cache-control"))
        why = uncacheable(api, body) or ("sampled" if _sampled(body) and settings.answers == "deterministic" else None)
        question = None if why else question_of(api, body)
        if question is None or not (wish.read or wish.write):
            self._bypass(why or ("no-cache" if question else "no_question"))
            return None
        try:
            names = (f"route:{route.name}", f"tenant:{plan.tenant}", f"model:{plan.request.model}")
            epochs = await self.state.answers.epochs(names)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
            self._bypass("redis")
            return None
        embedder, secret = self._embedder(), cache_secret()
        version = embedder.version if embedder is not None else "exact"
        scope = Scope(route.name, plan.tenant, plan.request.model, version, epochs, question.rest).id(secret)
        text_id = question_id(secret, question.text)
        if not wish.read:
            self._afresh = "no-cache"
        elif self.mode is Mode.ON and await self._repeats(scope, text_id):
            self._afresh = "repeat"
        return Asked(
            scope=scope,
            question=text_id,
            text=question.text,
            signature=signature_of(question.text),
            settings=settings,
            serving=self.mode is Mode.ON and not self._afresh,
            calibration=self.state.calibration(route.name, version, _prompt(plan)),
            draw=int(plan.request_id[:8], 16) / 2**32,
            max_age_s=wish.max_age_s,
            afresh=not wish.read,
        )

    async def _repeats(self, scope: str, question: str) -> bool:
        """The same again in a session, soon after a hit: that answer failed. It is asked afresh, and its entry goes."""
        if self.plan.repeat_window_s is None:
            return False
        try:
            entry = await self.state.answers.repeats(scope, question, self.plan.session)
            if entry is None:
                return False
            await self.state.answers.forget_question(scope, entry)
        except StoreError:
            return False
        return True

    async def _note_served(self, asked: Asked) -> None:
        # Of a semantic hit, the stored question that led to it is the one to blame.
        decision = self.found.decision if self.found is not None else None
        entry = (decision.question if decision is not None else None) or asked.question
        answers, plan = self.state.answers, self.plan
        await self._quietly(answers.served(plan.request_id, asked.scope, entry))
        if plan.repeat_window_s is not None:
            await self._quietly(
                answers.may_repeat(asked.scope, asked.question, plan.session, entry, window_s=plan.repeat_window_s)
            )

    def answered(
        self, kwargs: dict[str, Any], response: Any, answer: Answer, *, plain: Usage | None, served: bool
    ) -> None:
        """The log has an answer. A fresh one is remembered, in a task that nobody waits for; of a hit it is told."""
        asked, found = self.asked, self.found
        if asked is None or found is None:
            return
        if served:
            route = self.plan.route.name
            self.state.judged[route] = self.state.judged.get(route, Spent()).after(judged=False)
            self._record(found, None, answer.model)
            return
        ttl_s = min(asked.settings.ttl_s, self._wish.ttl_s or asked.settings.ttl_s)
        tags = self._tags()
        fresh = answer_of_log(kwargs, response, answer, expires_at=answer.at + ttl_s, tags=tags, plain=plain)
        if not self._wish.write or not isinstance(fresh, StoredAnswer):
            if not isinstance(fresh, StoredAnswer):
                metrics.count_look_up(self.plan.route.name, f"not-stored-{fresh.value}")
            self.ended()
            return
        if found.tier is Tier.EXACT and found.result is Result.HIT:
            return  # shadow: it is there already
        self._hold(self._learn(asked, found, fresh))

    def ended(self) -> None:
        """There is no answer to store: who waits for it goes on."""
        asked, found = self.asked, self.found
        if asked is not None and found is not None and found.leads:
            self._hold(self._quietly(self.state.answers.release(asked.scope, asked.question)))

    async def remember(self, body: Mapping[str, Any], fresh: StoredAnswer) -> None:
        """An answer that came by another way than through LiteLLM's log: learnt as one in shadow mode is."""
        asked = await self._question(body)
        if asked is None:
            return
        asked = replace(asked, serving=False)
        found = await look_up(asked, self.state.answers, self._embedder(), now=time.time())
        if found.tier is not Tier.EXACT or found.result is not Result.HIT:
            await self._learn(asked, found, replace(fresh, tags=self._tags()))

    async def _learn(self, asked: Asked, found: Found, fresh: StoredAnswer) -> None:
        compare = self._may_judge(asked, found)
        judges = Judges(self.plan.route.name, asked.settings.judge, self._embedder(), self.state.judge_spend, self._ask)
        try:
            learnt = await learn(
                asked, found, fresh, self.state.answers, judges, compare=compare, new_id=uuid.uuid4().hex[:16]
            )
        except FiveLeversError as error:
            metrics.count_bypass(LEVER, "store", error)
            return
        if found.vector is not None:
            self._record(found, learnt, fresh.model)

    def _may_judge(self, asked: Asked, found: Found) -> Sequence[str]:
        """What is compared; counted by this process."""
        route = self.plan.route.name
        compare, self.state.judged[route] = may_judge(asked, found, self.state.judged.get(route, Spent()))
        return compare

    async def _ask(self, model: str, messages: Sequence[dict[str, str]]) -> str | None:
        reply: str | None = await self.own(own_calls.ask(model, messages))
        return reply

    async def own(self, call: Awaitable[Any]) -> Any:
        """Run a call of the lever's own: on the bill, charged to it, and about this request."""
        made = flight.Flight(self.plan, self.state, charged_to=LEVER)

        async def run() -> Any:
            flight.current.set(made)
            return await call

        return await asyncio.get_running_loop().create_task(run())

    def _embedder(self) -> Any:
        settings = self.plan.route.levers.semantic_cache
        return self.state.embedders.of(settings, self.own) if settings.tier == "semantic" else None

    def _tags(self) -> tuple[str, ...]:
        """The caller's own, and hashes of route, tenant and end user, for invalidation and forgetting."""
        plan = self.plan
        subjects = [f"route:{plan.route.name}", plan.tenant]
        if plan.caller.end_user:
            subjects.append(f"end_user:{end_user_digest(plan.caller.end_user)}")
        own = [tag for tag in plan.caller.tags if "\n" not in tag and not tag.startswith("~")]
        return (*own, *(subject_tag(subject) for subject in subjects))

    def _record(self, found: Found, learnt: Learnt | None, model: str) -> None:
        asked, plan, decision = self.asked, self.plan, found.decision
        if asked is None or (found.tier is not Tier.SEMANTIC and decision is None):
            return
        self.state.meter.record(
            LookedUp(
                event_id=uuid.uuid4().hex,
                request_id=plan.request_id,
                at=plan.started_at,
                route=plan.route.name,
                tenant=plan.tenant,
                end_user=end_user_digest(plan.caller.end_user) if plan.caller.end_user else None,
                scope=asked.scope,
                question=asked.question,
                embedder=self._embedder().version,
                mode="on" if asked.serving else "shadow",
                result=found.result.value,
                verdict=None if learnt is None or learnt.said is None else learnt.said.value,
                judged_by=None if learnt is None or learnt.judged_by is None else learnt.judged_by.value,
                seen={
                    "why": found.why,
                    "similarity": round(decision.similarity, 4) if decision else None,
                    "margin": round(decision.margin, 4) if decision else None,
                    "support": decision.support if decision else None,
                    "score": round(decision.score, 4) if decision else None,
                    "prompt": _prompt(plan),
                    "model": model,
                },
            )
        )

    def _say(self, found: Found) -> None:
        if self._afresh and self.mode is Mode.ON:
            self._bypass(self._afresh)
            return
        shadow = "" if self.asked is not None and self.asked.serving else "shadow "
        told = [f"{shadow}{found.result.value}", f"why={found.why}"]
        if found.tier is not None:
            told.append(f"tier={found.tier.value}")
        decision = found.decision
        if decision is not None and decision.answer is not None:
            told += [f"similarity={decision.similarity:.3f}", f"margin={decision.margin:.3f}"]
            told += [f"support={decision.support}", f"score={decision.score:.3f}"]
        if found.answer is not None:
            told.append(f"age={max(time.time() - found.answer.created_at, 0):.0f}")
        self.said = "; ".join(told)
        metrics.count_look_up(self.plan.route.name, f"{shadow.strip() + '-' if shadow else ''}{found.result.value}")

    @property
    def entry(self) -> str:
        """Names the answer of a hit, for who wants it deleted."""
        return f"{self.asked.scope}.{self.found.answer_id}" if self.asked and self.found else ""

    def _bypass(self, why: str) -> None:
        self.said = f"bypass; why={why}"
        metrics.count_look_up(self.plan.route.name, "bypass")

    async def _quietly(self, call: Awaitable[Any]) -> None:
        try:
            await call
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)

    def _hold(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            self.state.hold(asyncio.get_running_loop().create_task(call))
        except RuntimeError:  # the process ends: leases do so by themselves
            call.close()


def answering(plan: Plan, state: State) -> Answering | None:
    """None on most requests: lever 2 is off, or theirs is an API without answers."""
    mode = plan.mode(LEVER)
    if mode is Mode.OFF or plan.request.api not in _ANSWERING:
        return None
    return Answering(plan, mode, state)


def _sampled(body: Mapping[str, Any]) -> bool:
    """Whether the same request may well be answered otherwise: temperature above 0, or not said."""
    temperature = body.get("temperature")
    return not isinstance(temperature, int | float) or temperature > 0


def _prompt(plan: Plan) -> str:
    """Names tools and system prompt: a calibration holds for those that it has seen."""
    shared = plan.request.shared
    return shared.hex()[:16] if shared else "none"
