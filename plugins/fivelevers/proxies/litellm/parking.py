"""Lever 3 in LiteLLM: a call that the lane offers goes through the proxy as any other, and stops before the provider.

So every rule of the host holds when the lane accepts it, and in the host's own order and words: key, model access,
budget, rate limits, guardrails, then the answer store, then the deployment that its router picks. Where all of that
lets it pass and it may wait, LiteLLM is handed a placeholder in the place of a cached answer, and the lane takes the
request that it stands for. Whatever goes wrong on the way, the call is answered live, once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import litellm
import orjson
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.types.guardrails import GuardrailEventHooks

from fivelevers import metrics
from fivelevers.answer import StoredAnswer
from fivelevers.batched import API_OF, Paying, about_of, work_id
from fivelevers.charge import HEADER as CHARGE_HEADER
from fivelevers.charge import header_of
from fivelevers.engine import Plan
from fivelevers.lane.call import Call, Parked
from fivelevers.lane.contract import asked_of, fingerprint
from fivelevers.levers.batch.eligibility import Asked, Predicted, decide, due_s, patience_s
from fivelevers.levers.batch.prediction import predict
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.metering.content import KEPT
from fivelevers.order import Mode
from fivelevers.policy import BatchSwitch
from fivelevers.prices import Usage
from fivelevers.proxies.litellm import batch_accounts, flight
from fivelevers.proxies.litellm.answer_cache import Hit, ask, install
from fivelevers.proxies.litellm.belief import use_believed
from fivelevers.proxies.litellm.identity import new_request_id
from fivelevers.proxies.litellm.reading import Deployment

if TYPE_CHECKING:
    from fivelevers.proxies.litellm.state import State

LEVER: Final = "batch"
# The proxy's own fields, and those that a batch answers by being one.
_PROXYS: Final = frozenset({
    "background", "cache", "caching", "drop_params", "fallbacks", "context_window_fallbacks", "guardrails",
    "litellm_metadata", "litellm_session_id", "litellm_trace_id", "max_retries", "model", "no-log", "num_retries",
    "request_timeout", "stream", "stream_options", "tags", "timeout",
})  # fmt: skip
# What a batch has no place for, or what the proxy itself would have to resolve.
_LIVE: Final = (
    "api_base", "api_key", "base_url", "conversation", "custom_llm_provider", "extra_body", "extra_headers", "file_ids",
    "mcp_servers", "mock_response", "previous_response_id", "prompt_id", "user_config", "vector_store_ids",
)  # fmt: skip
_METADATA_OF: Final = (Endpoint.RESPONSES, Endpoint.MESSAGES)  # elsewhere it is the proxy's


@dataclass(slots=True)
class Offer:
    """One call of the lane's, in its task. ``why``: what spoke for live. ``parked``: what is accepted, once it is
    ``held``: LiteLLM has taken the placeholder, so no provider was asked. ``request_id``: of the request that this is
    the live answer to; such a call is not parked.
    """

    call: Call
    why: str = "proxy"
    request_id: str | None = None
    parkable: bool = True
    parked: Parked | None = None
    hit: Hit | None = field(default=None)

    @property
    def held(self) -> Parked | None:
        return self.parked if self.hit is not None and self.hit.given else None


offered: ContextVar[Offer | None] = ContextVar("fivelevers_offer", default=None)
"""Of the call that this task offers: seen by the hooks of the request that it becomes."""


class Parking:
    """A call that may be parked, until its deployment is known."""

    def __init__(self, plan: Plan, offer: Offer, switch: BatchSwitch, host: Mapping[str, Any], state: State) -> None:
        self.plan, self.offer, self.switch, self.state = plan, offer, switch, state
        self._host = host
        self._data: Mapping[str, Any] = {}

    def open(self, data: dict[str, Any]) -> bool:
        """Before the router: whether LiteLLM will ask for the placeholder."""
        if install(flight.current_hit) is not None:
            self.offer.why = "host-cache"
            return False
        if guards_answers(data):
            self.offer.why = "output-guardrail"
            return False
        self._data = data
        ask(data)
        return True

    async def chosen(self, kwargs: Mapping[str, Any], deployment: Deployment) -> Hit | None:
        """The router has chosen: the placeholder, or None and the call goes on to the provider."""
        try:
            return await self._chosen(kwargs, deployment)
        except Exception as error:
            self.offer.why, self.offer.parked = "error", None
            metrics.count_bypass(LEVER, "parking", error)
            return None

    async def _chosen(self, kwargs: Mapping[str, Any], deployment: Deployment) -> Hit | None:
        endpoint, body = Endpoint(self.offer.call.path), self._body(kwargs)
        place = batch_accounts.of_call(kwargs, deployment)
        if isinstance(place, str):
            self.offer.why = place
            return None
        if why := batch_accounts.unlike(place.account.provider, endpoint):
            self.offer.why = why
            return None
        asked = self._asked(predicted=await self._predicted(deployment), region=place.region)
        verdict = decide(asked, self.switch)
        self.offer.why = verdict.why
        if verdict.lane == "live":
            return None
        group = Group(place.account.provider, place.account.name, endpoint, deployment.model)
        self.offer.parked = self._parked(asked, group, body, deployment)
        self.offer.hit = Hit(self.plan.request.api, str(kwargs.get("litellm_call_id")), _placeholder(group), LEVER)
        return self.offer.hit

    def _body(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What the client sent, with the values that all hooks left, and what the deployment adds of its own."""
        call, endpoint = self.offer.call, Endpoint(self.offer.call.path)
        names = [name for name in dict.fromkeys([*call.fields, *sorted(KEPT)]) if name not in _PROXYS]
        body = {name: kwargs.get(name, self._data.get(name, call.fields.get(name))) for name in names}
        if endpoint not in _METADATA_OF:
            body.pop("metadata", None)
        else:
            body["metadata"] = call.fields.get("metadata")
        if body.get("service_tier") == "batch":
            del body["service_tier"]
        return {name: value for name, value in body.items() if value is not None}

    async def _predicted(self, deployment: Deployment) -> Predicted:
        plan, state, tokens = self.plan, self.state, self._tokens(deployment.model)
        price = state.prices.price(deployment.model, provider=deployment.provider, deployment=deployment.id)
        return predict(tokens, state.outputs.of(plan.route.name), price, await self._believed(deployment))

    def _tokens(self, model: str) -> int:
        return max(ceil(self.plan.request.chars * self.state.tokenizers.of(model)), 1)

    async def _believed(self, deployment: Deployment) -> Use | None:
        return await use_believed(
            self.plan,
            self.state,
            model=deployment.model,
            provider=deployment.provider,
            provider_key=deployment.provider_key,
            deployment=deployment.id,
            lever=LEVER,
        )

    def _asked(self, **known: Any) -> Asked:
        return asked(self.plan, self.offer.call, self.switch, **known)

    def _parked(self, asked: Asked, group: Group, body: Mapping[str, Any], deployment: Deployment) -> Parked:
        plan, now = self.plan, time.time()
        paying = Paying(deployment.provider, deployment.model, deployment.id, deployment.provider_key)
        about = about_of(plan, paying) | {"host": dict(self._host)}
        if "no-store" in str(self.offer.call.fields.get("cache", "")):
            about["no_store"] = True
        shared = plan.request.shared
        work = Work(
            id=work_id(plan),
            group=group,
            tenant=wall(plan),
            route=plan.route.name,
            body=orjson.dumps({"model": group.model, **body}),
            accepted_at=now,
            deadline_at=now + due_s(asked, self.switch),
            prompt_tokens=self._tokens(group.model),
            prefix=shared.hex() if shared else "",
            about=about,
            terms=Terms(
                self.switch.flush_rows, self.switch.flush_age_s, int(self.switch.keep_s), fsync=self.switch.fsync
            ),
        )
        return Parked(
            work,
            patience_s(asked, self.switch),
            fingerprint(plan.tenant, work.route, self.offer.call.fields),  # nor does one end user get another's answer
            headers=told_of(plan),
        )


def asked(plan: Plan, call: Call, switch: BatchSwitch, **known: Any) -> Asked:
    """Everything that the proxy knows of it."""
    skipped = LEVER in plan.skipped
    return asked_of(call.path, call.wish, call.fields, u=plan.u, skipped=skipped, **known)


def wall(plan: Plan) -> str:
    """Who may see the request: the key's team, or the key alone where the route's tenants are keys or end users."""
    return plan.caller.tenant("team" if plan.route.tenant == "team" else "key")


def request_id_of(key: str) -> str:
    """The id of the request that this task serves: a new one, unless it is a live answer to one of the lane's."""
    offer = offered.get()
    return (offer.request_id if offer is not None else None) or new_request_id(key)


def told_of(plan: Plan) -> dict[str, str]:
    """What the headers of every answer say."""
    charged = {} if plan.charged_to is None else {CHARGE_HEADER: header_of(*plan.charged_to)}
    return {"x-fivelevers-route": plan.route.name, "x-fivelevers-request": plan.request_id, **charged}


def parking(plan: Plan, data: dict[str, Any], key: Any, state: State, *, answered: bool) -> Parking | None:
    """None on all requests but those that the lane offers and that may wait, as far as is known yet.

    ``answered``: from the store, so that nothing needs to be asked.
    """
    offer = offered.get()
    if offer is None or not offer.parkable:
        return None
    switch = plan.route.levers.batch
    if LEVER in plan.retreated and switch.mode is Mode.ON:
        switch = switch.model_copy(update={"mode": Mode.SHADOW})
    offer.why = "answer-store" if answered else _speaks_for_live(plan, offer, switch)
    if offer.why:
        return None
    offer.why = "error"  # until it is known better
    host = {name: value for name in ("user_id", "org_id") if (value := getattr(key, name, None))}
    found = Parking(plan, offer, switch, host, state)
    return found if found.open(data) else None


def _speaks_for_live(plan: Plan, offer: Offer, switch: BatchSwitch) -> str:
    verdict = decide(asked(plan, offer.call, switch), switch)
    if verdict.lane == "live":
        return verdict.why
    if plan.request.api is not API_OF.get(Endpoint(offer.call.path)):
        return "endpoint"
    return next((f"field-{name}" for name in _LIVE if offer.call.fields.get(name) is not None), "")


def guards_answers(data: Mapping[str, Any]) -> bool:
    """Whether a guardrail of the host's wants to see this answer: it could not see one that comes in a batch."""
    return any(
        isinstance(callback, CustomGuardrail) and callback.should_run_guardrail(data, GuardrailEventHooks.post_call)
        for callback in litellm.callbacks
    )


def _placeholder(group: Group) -> StoredAnswer:
    """Nobody reads it; a guardrail of the host's may look at it."""
    now = time.time()
    return StoredAnswer("Accepted.", group.model, group.provider, None, Usage(), now, now)
