"""What lever 1 believes that a deployment would read, write and pay in full, were the request sent there now."""

from __future__ import annotations

import time

from fivelevers import metrics
from fivelevers.engine import Plan
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.order import Mode
from fivelevers.prefix_caching import believed, scope_of
from fivelevers.proxies.litellm.state import State


async def use_believed(
    plan: Plan, state: State, *, model: str, provider: str, provider_key: str | None, deployment: str | None, lever: str
) -> Use | None:
    """None where lever 1 does not act, or its memory does not answer: counted for ``lever``, which asked."""
    terms, mode = state.terms.of(provider, model, deployment), plan.mode("prompt_cache")
    if mode is Mode.OFF or terms.prices is None:
        return None
    try:
        return await believed(
            plan.request,
            terms.rules,
            terms.prices,
            state.prefixes,
            scope=scope_of(provider_key, provider, model, shadow=mode is Mode.SHADOW),
            route=plan.route.name,
            tokens_per_char=state.tokenizers.of(model),
            now=time.time(),
        )
    except StoreError as error:
        metrics.count_bypass(lever, "belief", error)
        return None
