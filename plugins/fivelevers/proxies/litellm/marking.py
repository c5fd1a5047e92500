"""Lever 1 in LiteLLM: marks on the body that goes to the deployment which was chosen, and what its answer says of them.

LiteLLM calls a deployment in the shape that its provider reads last: Messages and Responses that are bridged come by
twice, and only the inner call is marked. Shapes and providers that take no marks never get one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from litellm.router_utils.get_retry_from_policy import resolve_retry_policy
from litellm.types.router import RetryPolicy

from fivelevers import metrics
from fivelevers.engine import Plan, WithoutUs
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.marks import Dialect, Place, marked, places
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.metering.attribution import Basis
from fivelevers.order import Mode
from fivelevers.prefix_caching import Considered, consider, learn, scope_of
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.reading import Deployment
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api, Request, parse
from fivelevers.stores.prefixes import Prefixes
from fivelevers.unread import Write, unread

LEVER = "prompt_cache"
OPENAI_HOSTS = "FIVELEVERS_OPENAI_HOSTS"
_SHAPES = {"acompletion": Api.CHAT, "anthropic_messages": Api.MESSAGES, "aresponses": Api.RESPONSES}
_DIALECTS = {Style.MARKS: Dialect.ANTHROPIC, Style.BREAKPOINTS: Dialect.OPENAI}
_TAKEN = {Dialect.ANTHROPIC: (Api.CHAT, Api.MESSAGES), Dialect.OPENAI: (Api.CHAT, Api.RESPONSES)}
_READ = (
    "messages", "system", "tools", "input", "instructions", "tool_choice", "parallel_tool_calls", "thinking",
    "reasoning_effort", "output_config", "speed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider, in the shape that it reads."""

    api: Api
    body: Mapping[str, Any]
    deployment: Deployment
    base: str | None


class Marking:
    """Lever 1 on one request: its attempts come one after the other."""

    def __init__(self, plan: Plan, mode: Mode, state: State) -> None:
        self.plan = plan
        self.mode = mode
        self.state = state
        self.said = ""
        self.considered: Considered | None = None
        self._blamed: tuple[str, str] | None = None  # the model whose marks may have been refused, and how it said so
        self._retries: RetryPolicy | None = None

    def allow_a_retry(self, data: dict[str, Any]) -> None:
        """Let LiteLLM ask again after a 400, which it does not otherwise; in force while marks of ours are on a call.

        What it is configured to retry stays as it is.
        """
        router = sys.modules["litellm.proxy.proxy_server"].llm_router
        alias = self.plan.request.model
        if router is None or "api_key" in data or "api_base" in data:  # such calls pass no router
            return
        policies = data.get("model_group_retry_policy") or router.model_group_retry_policy or {}
        configured = resolve_retry_policy(router.retry_policy, alias, policies)
        self._retries = configured.model_copy() if configured else RetryPolicy()
        data["model_group_retry_policy"] = {**policies, alias: self._retries}

    async def mark(self, kwargs: dict[str, Any], call_type: object, deployment: Deployment) -> None:
        """Put marks on ``kwargs``, LiteLLM's own copy of the call, whose parts are everybody's and are not changed."""
        self.considered = None
        api = _SHAPES.get(str(getattr(call_type, "value", call_type)))
        if api is None:
            return
        body = {name: kwargs[name] for name in _READ if kwargs.get(name) is not None}
        call = Call(api, body, deployment, kwargs.get("api_base"))
        terms = self.state.terms.of(deployment.provider, deployment.model, deployment.id)
        if terms.rules.style is Style.NONE or not self._understood(call):
            self._stand_by("not-understood")
            return
        key = cache_key(self.plan, call)
        if self.mode is Mode.ON and key and not kwargs.get("prompt_cache_key"):
            kwargs["prompt_cache_key"] = key
            self.said = "cache-key"
        dialect = _DIALECTS.get(terms.rules.style)
        if dialect is None or api not in _TAKEN[dialect]:
            return
        if terms.prices is None:
            self._stand_by("unknown-price")
        elif self._blamed is not None or self.state.quarantine.holds(deployment.model):
            self._stand_by("quarantined")
        else:
            found = places(api, body, dialect)
            considered = await self._consider(call, found, terms.rules, terms.prices)
            if considered is not None and self.mode is Mode.ON:
                chosen = {found[considered.segment(mark)]: mark.ttl_s for mark in considered.marks}
                self._put(kwargs, call, dialect, {place: ttl_s for place, ttl_s in chosen.items() if place})

    async def _consider(
        self, call: Call, found: Sequence[Place | None], rules: CacheRules, prices: CachePrices
    ) -> Considered | None:
        request, deployment, shadow = self._request(call), call.deployment, self.mode is Mode.SHADOW
        if len(found) != len(request.segments):
            self._stand_by("shape")
            metrics.count_bypass(LEVER, "shape")
            return None
        try:
            self.considered = await consider(
                request,
                [place is not None for place in found],
                rules,
                prices,
                self.state.prefixes,
                scope=scope_of(deployment.provider_key, deployment.provider, deployment.model, shadow=shadow),
                route=self.plan.route.name,
                provider=deployment.provider,
                model=deployment.model,
                tokens_per_char=self.state.tokenizers.of(deployment.model),
                shadow=shadow,
                now=time.time(),
            )
        except StoreError as error:
            self._stand_by("redis")
            metrics.count_bypass(LEVER, "redis", error)
            return None
        self._say(self.considered)
        return self.considered

    def _put(self, kwargs: dict[str, Any], call: Call, dialect: Dialect, chosen: Mapping[Place, int]) -> None:
        kwargs.update(marked(call.api, call.body, chosen, dialect))
        if dialect is Dialect.OPENAI and not kwargs.get("prompt_cache_options") and not self._client_marked():
            kwargs["prompt_cache_options"] = {"mode": "explicit"}  # else all of every prompt is written, and charged
        if self._retries is not None and (chosen or dialect is Dialect.OPENAI):
            self._retries.BadRequestErrorRetries = 1

    def _client_marked(self) -> bool:
        return self.considered is not None and any(position.mark_s for position in self.considered.positions)

    def _request(self, call: Call) -> Request:
        """The plan's own where the call has its shape; a bridged call is read anew."""
        own = self.plan.request
        return own if own.api is call.api else parse(call.api, call.body)

    def _understood(self, call: Call) -> bool:
        """OpenAI's fields are for OpenAI alone: what else speaks its API may refuse them."""
        return call.deployment.provider != "openai" or is_openai(call.base)

    def _stand_by(self, why: str) -> None:
        self.said = why
        metrics.requests.labels(LEVER, why).inc()

    def _say(self, considered: Considered) -> None:
        told = []
        for mark in considered.marks:
            position = considered.positions[mark.at]
            ttl = f"{mark.ttl_s // 3600}h" if mark.ttl_s >= 3600 else f"{mark.ttl_s // 60}m"
            told.append(f"{position.section.value}@{position.tokens}={ttl};{mark.reason.value}")
        self.said = ("shadow " if considered.shadow else "") + (", ".join(told) or "none")
        result = "marked" if told else "unmarked"
        metrics.requests.labels(LEVER, f"shadow-{result}" if considered.shadow else result).inc()

    def without_us(self, usage: Usage | None) -> WithoutUs | None:
        """What the provider had billed without our marks; None where no decision was carried out.

        What a client's own marks, or a provider that writes by itself, had done without us is believed, not billed.
        """
        considered = self.considered
        if considered is None or considered.shadow or usage is None:
            return None
        alone = considered.decision.client_alone
        basis = Basis.ESTIMATED if alone.read or alone.written else Basis.OBSERVED
        return WithoutUs(LEVER, considered.without_us(usage), basis)

    def plain(self, usage: Usage | None) -> Usage | None:
        """What the provider had billed without this lever; None where that is the same."""
        without = self.without_us(usage)
        return None if without is None or without.usage == usage else without.usage

    def answered(self, usage: Usage | None, *, reported: bool, now: float) -> None:
        """An attempt ended well."""
        considered, self.considered = self.considered, None
        if self._blamed is not None:  # without our marks it was fine
            model, words = self._blamed
            self.state.quarantine.put(model, words)
            self._blamed = None
        if considered is None or usage is None or not reported:
            return
        self.state.tokenizers.learn(considered.model, considered.chars, usage.prompt)
        if considered.shadow:
            return
        correction = learn(considered, usage, self.state.prefixes, now=now)
        price = self.state.prices.price(considered.model, provider=considered.provider)
        self.state.writes.add(considered, usage, price)
        metrics.count_prompt_cache(considered.route, considered.model, usage, price, evicted=correction.evicted)
        ended = self.state.writes.ended(now)
        if ended:
            self.state.hold(asyncio.get_running_loop().create_task(count_unread(ended, self.state.prefixes)))

    def failed(self, error: str, words: str, *, now: float) -> None:
        """An attempt failed: nothing was cached. A 400 on marks of ours is tried again without them."""
        considered, self.considered = self.considered, None
        if considered is None or considered.shadow:
            return
        learn(considered, None, self.state.prefixes, now=now)
        if error == "BadRequestError" and self._blamed is None:
            self._blamed = (considered.model, words)


async def count_unread(ended: Sequence[Write], prefixes: Prefixes) -> None:
    """Of writes whose life is over, count those that nothing has read."""
    for scope in {write.scope for write in ended}:
        writes = [write for write in ended if write.scope == scope]
        try:
            states = await prefixes.look(scope, [write.node for write in writes])
        except StoreError:
            continue  # what became of them is not known, so they are not called wasted
        for write in unread(writes, states):
            metrics.count_wasted(write.route, write.model, write.tokens, write.premium_usd)


def marking(plan: Plan, data: dict[str, Any], state: State) -> Marking | None:
    """None on most requests: lever 1 is off, or theirs is an API without prefixes."""
    mode = plan.mode(LEVER)
    if mode is Mode.OFF or plan.request.api not in _SHAPES.values():
        return None
    found = Marking(plan, mode, state)
    if mode is Mode.ON:
        found.allow_a_retry(data)
    return found


def cache_key(plan: Plan, call: Call) -> str | None:
    """A name for what requests share, so that OpenAI sends them to one machine: the same tools and system prompt.

    None where nothing is shared. It holds a hash alone; tenants differ in it, so none learns of another's traffic.
    """
    if call.deployment.provider not in ("openai", "azure"):
        return None
    shared = plan.request.shared
    return f"fl-{shared.hex()}" if shared else None


def is_openai(base: str | None) -> bool:
    """Whether an endpoint is OpenAI's own, or one of the hosts that FIVELEVERS_OPENAI_HOSTS says are as good."""
    base = base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    if not base:
        return True
    host = urlsplit(base).netloc.rpartition("@")[2].lower()
    named = {name.strip().lower() for name in os.environ.get(OPENAI_HOSTS, "").split(",") if name.strip()}
    plain = host.partition(":")[0]
    return plain == "api.openai.com" or plain.endswith(".api.openai.com") or bool({host, plain} & named)
