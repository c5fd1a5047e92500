"""The example exports, and their sums."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from fivelevers.metering.exports.lines import Export, plain_model
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.read import Format, read

EXAMPLES = Path(__file__).parents[3] / "examples/cost_exports"
Cell = tuple[str, str, Kind | None]

GPT: dict[Cell, int] = {
    ("2026-11-20", "gpt-4.1", Kind.INPUT): 120_000,
    ("2026-11-20", "gpt-4.1", Kind.CACHE_READ): 60_000,
    ("2026-11-20", "gpt-4.1", Kind.OUTPUT): 30_000,
    ("2026-11-21", "gpt-4.1-mini", Kind.INPUT): 50_000,
    ("2026-11-21", "gpt-4.1-mini", Kind.OUTPUT): 10_000,
}
HAIKU: dict[Cell, int] = {
    ("2026-11-20", "claude-haiku-4-5", Kind.INPUT): 40_000,
    ("2026-11-20", "claude-haiku-4-5", Kind.CACHE_READ): 200_000,
    ("2026-11-20", "claude-haiku-4-5", Kind.CACHE_WRITE_5M): 20_000,
    ("2026-11-20", "claude-haiku-4-5", Kind.CACHE_WRITE_1H): 10_000,
    ("2026-11-20", "claude-haiku-4-5", Kind.OUTPUT): 8_000,
}
GPT_USD = dict(zip(GPT, map(Decimal, ("0.24", "0.03", "0.24", "0.02", "0.016")), strict=True))
HAIKU_USD = dict(zip(HAIKU, map(Decimal, ("0.04", "0.02", "0.025", "0.02", "0.04")), strict=True))


def example(name: str, format_: Format = Format.AUTO) -> Export:
    return read((EXAMPLES / name).read_bytes(), name, format_)


def tokens(export: Export) -> dict[Cell, int]:
    """Tokens by (day, plain model, kind), without zeros."""
    sums: defaultdict[Cell, int] = defaultdict(int)
    for line in export.lines:
        sums[str(line.day), plain_model(line.model or ""), line.kind] += line.tokens or 0
    return {cell: count for cell, count in sums.items() if count}


def usd(export: Export) -> dict[Cell, Decimal]:
    sums: defaultdict[Cell, Decimal] = defaultdict(Decimal)
    for line in export.lines:
        sums[str(line.day), plain_model(line.model or ""), line.kind] += line.usd or Decimal(0)
    return {cell: amount for cell, amount in sums.items() if amount}
