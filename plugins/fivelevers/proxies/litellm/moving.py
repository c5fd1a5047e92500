"""What it costs to move a conversation to another model: the prefix that is warm where it was, and is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fivelevers.engine import Plan
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import Kind
from fivelevers.providers.cache_rules import CacheTerms
from fivelevers.proxies.litellm.belief import use_believed
from fivelevers.proxies.litellm.state import State
from fivelevers.proxies.litellm.tiers import Tier

_LEVER: Final = "routing"


async def moving_usd(plan: Plan, state: State, tiers: Iterable[Tier], previous: str) -> dict[str, float]:
    """By model, what the next answer costs there beyond what it would if that model held what ``previous`` holds.

    What each holds is lever 1's belief. Where it has none, all of the conversation but what was said last counts as
    warm at ``previous`` and nothing elsewhere: it stays.
    """
    first = {tier.model: tier for tier in reversed(list(tiers))}
    here = first.pop(previous, None)
    if here is None:
        return {}
    warm = await _use(plan, state, here)
    return {model: await _lost_usd(plan, state, here, tier, warm) for model, tier in first.items()}


async def _lost_usd(plan: Plan, state: State, here: Tier, there: Tier, warm: Use | None) -> float:
    payee = there.payee
    price = state.prices.price(payee.model, provider=payee.provider, deployment=payee.deployment)
    rate, terms = price.rate(Kind.INPUT, prompt_tokens=0), _terms(state, there)
    if rate is None or terms.prices is None:
        return 0.0  # what it does not cache it does not lose
    cold = None if warm is None else await _use(plan, state, there)
    if warm is None or cold is None:
        return float(rate) * _held(plan, state, here) * (1 - terms.prices.read)
    return float(rate) * max(cold.cost(terms.prices) - warm.cost(terms.prices), 0.0)


def _held(plan: Plan, state: State, here: Tier) -> float:
    """Tokens that may be warm without lever 1's doing: by themselves, or by the client's own marks."""
    rules, segments = _terms(state, here).rules, plan.request.segments
    if rules.style is Style.NONE or (rules.style is Style.MARKS and not any(one.mark for one in segments)):
        return 0.0
    tokens = sum(one.chars for one in segments[:-1]) * state.tokenizers.of(here.payee.model)
    return tokens if tokens >= rules.minimum_tokens else 0.0


def _terms(state: State, tier: Tier) -> CacheTerms:
    return state.terms.of(tier.payee.provider or "", tier.payee.model, tier.payee.deployment)


async def _use(plan: Plan, state: State, tier: Tier) -> Use | None:
    payee = tier.payee
    return await use_believed(
        plan,
        state,
        model=payee.model,
        provider=payee.provider or "",
        provider_key=tier.provider_key,
        deployment=payee.deployment,
        lever=_LEVER,
    )
