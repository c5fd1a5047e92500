"""Tokens times rates: what usage costs at a price, exact to the picodollar.

Amounts are USD in whole picodollars (1e-12 USD): the ledger adds them up as 64-bit integers, so every sum is exact in
any order and any database. Each kind of token is rounded by itself, half to even (no drift over many requests), and a
total is the sum of its rounded parts: the parts that a report shows always add up to its total.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from fivelevers.prices import Kind, Price, Usage

PICODOLLAR: Final = Decimal("1e-12")
"""The smallest amount, in USD."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A cost that can not be told: tokens of these kinds were billed, and `source` states no rate for them."""

    model: str
    kinds: tuple[Kind, ...]
    source: str

    def __str__(self) -> str:
        return f"{self.model}: no rate for {', '.join(self.kinds)} ({self.source}); state it in the price override file"


def rounded(usd: Decimal) -> Decimal:
    """The amount in whole picodollars."""
    return usd.quantize(PICODOLLAR, ROUND_HALF_EVEN)


def payable(usage: Usage, price: Price) -> Usage:
    """The same tokens at another model's terms: what it has no rate for, it reads as plain input."""
    prompt = usage.prompt
    kept = {kind: n for kind, n in usage.items() if price.rate(kind, prompt_tokens=prompt) is not None}
    plain = prompt - sum(n for kind, n in kept.items() if kind is not Kind.OUTPUT)
    return Usage(**{kind.value: n for kind, n in kept.items()} | {"input": kept.get(Kind.INPUT, 0) + plain,
                                                                  "output": usage.output})  # fmt: skip


def cost_parts(usage: Usage, price: Price, *, batch: bool = False) -> dict[Kind, Decimal] | Unknown:
    """USD for each kind that has tokens. One kind without a rate makes the whole cost unknown."""
    parts: dict[Kind, Decimal] = {}
    missing: list[Kind] = []
    prompt = usage.prompt
    for kind, count in usage.items():
        if count:
            rate = price.rate(kind, prompt_tokens=prompt, batch=batch)
            if rate is None:
                missing.append(kind)
            else:
                parts[kind] = rounded(count * rate)
    return Unknown(price.model, tuple(missing), price.source) if missing else parts


def cost(usage: Usage, price: Price, *, batch: bool = False) -> Decimal | Unknown:
    """USD for all of it. No tokens cost 0 at any price, an unknown one too."""
    parts = cost_parts(usage, price, batch=batch)
    return parts if isinstance(parts, Unknown) else sum(parts.values(), rounded(Decimal(0)))


def list_cost(usage: Usage, listed: Price) -> Decimal | Unknown:
    """USD as if nothing were cached or batched. `listed` is the list price of the model that was asked for."""
    return cost(Usage(input=usage.prompt, output=usage.output), listed)
