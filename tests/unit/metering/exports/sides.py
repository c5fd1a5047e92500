"""Two sides that agree, in the words of a table: {day: {kind: tokens}}, and what differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from fivelevers.metering.exports.compare import Comparison, compare
from fivelevers.metering.exports.lines import DAY_S, Aside, Books, Export, Line
from fivelevers.prices import Kind

IN, READ, W5, W1, OUT = Kind.INPUT, Kind.CACHE_READ, Kind.CACHE_WRITE_5M, Kind.CACHE_WRITE_1H, Kind.OUTPUT
RATES = dict(zip((IN, READ, W5, W1, OUT), map(Decimal, ("1", "0.1", "1.25", "2", "5")), strict=True))  # USD per million
Days = Mapping[int, Mapping[Kind, int]]
MODEL = "claude-haiku-4-5"
USED: Days = {0: {IN: 40_000, READ: 200_000, W5: 20_000, W1: 10_000, OUT: 8_000}, 1: {IN: 50_000, OUT: 9_000}}


def price(kind: Kind, tokens: int) -> Decimal:
    return RATES[kind] * tokens / 1_000_000


def lines(used: Days, *, model: str | None = MODEL, keys: tuple[str, ...] = ()) -> list[Line]:
    """Tokens and their dollars."""
    return [
        Line(day * DAY_S, "anthropic", model, kind, tokens, price(kind, tokens), keys=keys)
        for day, kinds in used.items()
        for kind, tokens in kinds.items()
    ]


def changed(used: Days, day: int, gaps: Mapping[Kind, int]) -> Days:
    """With these tokens more (or less) on one day."""
    kinds = {kind: used[day].get(kind, 0) + gaps.get(kind, 0) for kind in Kind}
    return {**used, day: {kind: tokens for kind, tokens in kinds.items() if tokens}}


def export(told: list[Line], *, tokens: bool = True, usd: bool = True) -> Export:
    days = [line.at for line in told] or [0.0]
    return Export("test", "anthropic", min(days), max(days) + DAY_S, tuple(told), tokens=tokens, usd=usd)


def against(ledger: list[Line], told: Export, *asides: Aside, tolerance: str = "0.001") -> Comparison:
    return compare(told, Books(tuple(ledger), asides), Decimal(tolerance))
