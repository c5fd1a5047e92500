"""The engine: one request, one plan; and what an attempt cost once it has ended.

``prepare`` runs once per request, before anything is sent; adapters carry its plan out and hand every attempt back to
``settle``. Both are pure: clock and identifiers come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

from fivelevers.metering.arms import Arm, assign, unit_interval
from fivelevers.metering.attribution import Attribution, Basis, Step, attribute
from fivelevers.metering.cost import Unknown, cost, cost_parts, list_cost, payable
from fivelevers.metering.event import Attempt, UsageSource
from fivelevers.order import LEVERS, Mode
from fivelevers.policy import Caller, Policy, Route, end_user_digest
from fivelevers.prices import Price, PriceBook, Usage
from fivelevers.request import Api, Request
from fivelevers.switch import NOTHING_OFF, SKIP_HEADER, skips

SESSION_HEADER = "x-fivelevers-session"
CHARS_PER_TOKEN = 4  # the estimate for tokens that no provider reported; reported apart wherever it is used


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided for one request. ``u`` is its place in [0, 1), shared by all levers of the route.

    ``skipped`` are the levers, in order, that a way out took out of force, whatever their mode; ``retreated`` those
    that the guard put back to shadow; ``unknown_skips`` is how many words of the request's skip header name none.
    ``charged_to``: the lever for which a program outside asks this, and the route that it is about.
    """

    request_id: str
    started_at: float
    request: Request
    caller: Caller
    route: Route
    tenant: str
    session: str
    explicit_session: bool
    u: float
    arm: Arm
    policy: str
    repeat_window_s: float | None
    skipped: tuple[str, ...]
    unknown_skips: int
    retreated: frozenset[str] = frozenset()
    charged_to: tuple[str, str] | None = None

    def mode(self, lever: str) -> Mode:
        """What a lever may do on this request: ON for a treated one, SHADOW on a route in shadow, else OFF."""
        if lever in self.arm.treated:
            return Mode.ON
        mode = self.route.levers.of(lever).mode
        watched = mode is Mode.SHADOW or (mode is Mode.ON and lever in self.retreated)
        return Mode.SHADOW if watched and not self.arm.holdout and lever not in self.skipped else Mode.OFF


@dataclass(frozen=True, slots=True)
class Payee:
    """A deployment that is, or had been, paid."""

    model: str
    provider: str | None
    deployment: str | None


@dataclass(frozen=True, slots=True)
class WithoutUs:
    """The usage of an attempt as it had been without ``lever`` and those after it. ``basis``: how that is known.

    ``payee``: the deployment that had been paid for it, None for the one that was.
    """

    lever: str
    usage: Usage
    basis: Basis
    payee: Payee | None = None


def without_routing(before: Sequence[WithoutUs], usage: Usage, strong: Payee, output: int) -> tuple[WithoutUs, ...]:
    """What an attempt on a cheaper model had been without lever 4, and without what came ``before`` it too.

    All of it had been paid to the strong model's deployment; its answer had had ``output`` tokens, as is believed.
    """
    routed = WithoutUs("routing", replace(usage, output=output), Basis.ESTIMATED, strong)
    earlier = (replace(one, usage=replace(one.usage, output=output), payee=strong) for one in before)
    return (*earlier, routed)


def without_quantization(before: Sequence[WithoutUs], usage: Usage, original: Payee) -> tuple[WithoutUs, ...]:
    """What an attempt on a quantised model had been without lever 5, and without what came ``before`` it too.

    The same tokens had been paid to the original's deployment, where no lever before had changed who is paid.
    """
    quantised = WithoutUs("quantization", usage, Basis.ESTIMATED, original)
    return (*(one if one.payee is not None else replace(one, payee=original) for one in before), quantised)


@dataclass(frozen=True, slots=True)
class Answer:
    """How one attempt ended, as the proxy saw it. ``usage`` None: the provider never said."""

    at: float
    started_at: float
    model: str
    provider: str
    provider_key: str | None
    deployment: str | None
    provider_request_id: str | None
    success: bool
    error: str | None
    finish_reason: str | None
    usage: Usage | None
    reported: bool
    generated_chars: int = 0


def prepare(
    request: Request,
    hints: Mapping[str, Any],
    caller: Caller,
    policy: Policy,
    *,
    request_id: str,
    now: float,
    off: Callable[[str], frozenset[str]] = NOTHING_OFF.off,
    retreated: Callable[[str], frozenset[str]] = NOTHING_OFF.retreated,
) -> Plan:
    """The plan of one request. ``hints`` are the body's fields that may name its session.

    ``off`` gives the levers that are switched off on a route, ``retreated`` those that are back in shadow there.
    """
    route = policy.match(caller, request.model)
    wished, unknown_skips = skips(caller.headers.get(SKIP_HEADER, ""))
    skipped = wished | off(route.name)
    tenant = caller.tenant(route.tenant)
    session, explicit = session_of(request, hints, caller, tenant)
    u = unit_interval(route.name, session)
    back = retreated(route.name)
    shares = {name: share for name, share in route.shares.items() if name not in skipped and name not in back}
    return Plan(
        request_id=request_id,
        started_at=now,
        request=request,
        caller=caller,
        route=route,
        tenant=tenant,
        session=session,
        explicit_session=explicit,
        u=u,
        arm=assign(u, route.holdout, shares),
        policy=policy.hash,
        repeat_window_s=_repeat_window(request, hints, route) if explicit else None,
        skipped=tuple(lever.name for lever in LEVERS if lever.name in skipped),
        unknown_skips=unknown_skips,
        retreated=back,
    )


def charged(plan: Plan, lever: str, route: str) -> Plan:
    """The same as a call of ``lever``'s own about ``route``, in no arm: it is none of what arms compare. How it is
    answered its own route says."""
    return replace(plan, arm=Arm(holdout=False, treated=frozenset()), charged_to=(lever, route))


def session_of(request: Request, hints: Mapping[str, Any], caller: Caller, tenant: str) -> tuple[str, bool]:
    """The session's name, 16 hex digits that say nothing about the client, and whether the client named it itself."""
    header = caller.headers.get(SESSION_HEADER)
    if header:
        return _session(tenant, "explicit", header), True
    metadata = hints.get("metadata")
    for value in (hints.get("litellm_session_id"), metadata.get("session_id") if isinstance(metadata, dict) else None):
        if isinstance(value, str) and value:
            return _session(tenant, "explicit", value), True
    for name in ("conversation", "prompt_cache_key", "previous_response_id"):
        value = hints.get(name)
        if isinstance(value, dict):
            value = value.get("id")
        if isinstance(value, str) and value:
            return _session(tenant, name, value), False
    return _session(tenant, "opening", request.opening.hex()), False


def _session(tenant: str, kind: str, value: str) -> str:
    parts = (tenant, kind, value)
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _repeat_window(request: Request, hints: Mapping[str, Any], route: Route) -> float | None:
    """Seconds within which the same request again says that the answer failed; None where it says nothing.

    A conversation that the provider keeps grows with each call, so the same words there ask something else; and of a
    request that we do not read (an uploaded file) we can not tell whether it is the same.
    """
    said_again = route.repeat_means == "retry" and request.api is not Api.OTHER and not hints.get("conversation")
    return route.repeat_window_s if said_again else None


def settle(
    plan: Plan,
    answer: Answer,
    prices: PriceBook,
    *,
    event_id: str,
    without: Sequence[WithoutUs] = (),
    charged_to: str | None = None,
    batch: bool = False,
) -> Attempt:
    """The attempt as the ledger keeps it: usage by kind, what it cost, its list cost, what it had cost without us.

    ``without``: the levers that changed this attempt, in lever order; with none, nothing else would have been paid.
    ``charged_to``: the lever whose own call this is, which nobody had made without us. ``batch``: it came in a batch:
    the price map's rates for that are what it cost, those of the live call what it had cost without us.
    """
    usage, source = _usage(plan, answer)
    price = prices.price(answer.model, provider=answer.provider, deployment=answer.deployment)
    parts = cost_parts(usage, price, batch=batch)
    paid = None if isinstance(parts, Unknown) else sum(parts.values(), Decimal(0))
    listed = list_cost(usage, prices.list_price(answer.model, provider=answer.provider))
    if batch and answer.success:
        without = (*without, WithoutUs("batch", usage, Basis.OBSERVED))
    shares = _charged(paid, charged_to) if charged_to else _attributed(paid, price, without, prices)
    return Attempt(
        event_id=event_id,
        request_id=plan.request_id,
        at=answer.at,
        started_at=answer.started_at,
        route=plan.route.name if plan.charged_to is None else plan.charged_to[1],
        tenant=plan.tenant,
        team=plan.caller.team,
        key=plan.caller.key,
        key_alias=plan.caller.key_alias,
        session=plan.session,
        explicit_session=plan.explicit_session,
        tags=plan.caller.tags,
        api=plan.request.api.value,
        stream=plan.request.stream,
        alias=plan.request.model,
        model=answer.model,
        provider=answer.provider,
        provider_key=answer.provider_key,
        deployment=answer.deployment,
        provider_request_id=answer.provider_request_id,
        success=answer.success,
        error=answer.error,
        finish_reason=answer.finish_reason,
        usage=usage,
        usage_source=source,
        cost_usd=paid,
        cost_parts=None if isinstance(parts, Unknown) else parts,
        list_cost_usd=None if isinstance(listed, Unknown) else listed,
        cost_without_us_usd=paid if shares is None else shares.cost_without_us,
        failure_cost_usd=Decimal(str(plan.route.failure_cost_usd)),
        savings=() if shares is None else shares.savings,
        u=plan.u,
        holdout=plan.arm.holdout,
        treated=tuple(lever.name for lever in LEVERS if lever.name in plan.arm.treated),
        policy=plan.policy,
        asked_at=plan.started_at,
        digest=plan.request.digest.hex(),
        repeat_window_s=None if charged_to else plan.repeat_window_s,
        end_user=end_user_digest(plan.caller.end_user) if plan.caller.end_user else None,
        skipped=plan.skipped,
        charged_to=charged_to,
        prompt_chars=plan.request.chars,
    )


def _attributed(
    paid: Decimal | None, price: Price, without: Sequence[WithoutUs], prices: PriceBook
) -> Attribution | None:
    """Each lever takes the cost from what it had been without it to what it had been without the next one."""
    if paid is None or not without:
        return None
    costs: list[Decimal] = []
    for one in without:
        before = cost(one.usage, price) if one.payee is None else _cost_at(one.payee, one.usage, prices)
        if isinstance(before, Unknown):
            return None
        costs.append(before)
    after = [*costs[1:], paid]
    steps = [Step(one.lever, one.basis, usd) for one, usd in zip(without, after, strict=True)]
    return attribute(costs[0], steps)


def _cost_at(payee: Payee, usage: Usage, prices: PriceBook) -> Decimal | Unknown:
    price = prices.price(payee.model, provider=payee.provider, deployment=payee.deployment)
    return cost(payable(usage, price), price)


def _charged(paid: Decimal | None, lever: str) -> Attribution | None:
    return None if paid is None else attribute(Decimal(0), [], {lever: paid})


def _usage(plan: Plan, answer: Answer) -> tuple[Usage, UsageSource]:
    if answer.usage is not None:
        return answer.usage, UsageSource.REPORTED if answer.reported else UsageSource.ESTIMATED
    if answer.reported:  # the provider refused: it answered, and billed nothing
        return Usage(), UsageSource.NONE
    prompt = -(-plan.request.chars // CHARS_PER_TOKEN)
    return Usage(input=prompt, output=-(-answer.generated_chars // CHARS_PER_TOKEN)), UsageSource.ESTIMATED
