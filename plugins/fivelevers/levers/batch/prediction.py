"""What a request is expected to cost, in a batch and live. Pure.

In a batch every prompt token is plain, at the batch rate: marks are taken out, and what a provider still reads from its
cache there is not counted on. Live it costs what lever 1 believes of its prefix.
"""

from __future__ import annotations

from collections.abc import Callable

from fivelevers.levers.batch.eligibility import Predicted
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.prices import Kind, Price

_HOUR_S = 3600


def predict(prompt_tokens: int, output_tokens: float, price: Price, believed: Use | None = None) -> Predicted:
    """``prompt_tokens`` as estimated; ``output_tokens`` as the route's answers have had; ``believed`` None: cold."""

    def usd(kind: Kind, tokens: float, *, batch: bool = False) -> float | None:
        found = price.rate(kind, prompt_tokens=prompt_tokens, batch=batch)
        return None if found is None else float(found) * tokens

    batched = (usd(Kind.INPUT, prompt_tokens, batch=True), usd(Kind.OUTPUT, output_tokens, batch=True))
    live = (*_input(Use(fresh=prompt_tokens) if believed is None else believed, usd), usd(Kind.OUTPUT, output_tokens))
    return Predicted(batch_usd=_sum(batched), live_usd=_sum(live))


def _input(use: Use, usd: Callable[[Kind, float], float | None]) -> tuple[float | None, ...]:
    """A read or a write without a price of its own is plain."""
    parts = [(Kind.INPUT, use.fresh), (Kind.CACHE_READ, use.read)]
    parts += [
        (Kind.CACHE_WRITE_1H if ttl_s >= _HOUR_S else Kind.CACHE_WRITE_5M, tokens)
        for ttl_s, tokens in use.written.items()
    ]
    return tuple(usd(Kind.INPUT, tokens) if (cost := usd(kind, tokens)) is None else cost for kind, tokens in parts)


def _sum(parts: tuple[float | None, ...]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
