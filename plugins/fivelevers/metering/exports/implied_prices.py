"""What an export's dollars say of its prices, where its tokens are the ledger's. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from fivelevers.metering.exports.cells import Cell
from fivelevers.metering.exports.lines import ZERO
from fivelevers.prices import Kind

_LIKE: Final = Decimal("0.01")  # two rates within 1 % of each other are one rate
# Export over ledger, and what providers charge so. Priority: LiteLLM's map gives gpt-4.1 1.75 and gpt-5 2 times the
# plain rate. Region: platform.claude.com/docs, "Data residency". Cache: platform.claude.com/docs, "Prompt caching".
_RATIOS: Final = {
    Decimal("0.1"): "a cache read",
    Decimal("0.5"): "batch or flex",
    Decimal("0.8"): "a cache write without its premium",
    Decimal("1.1"): "inference kept in one region",
    Decimal("1.25"): "the premium of a 5 minute cache write",
    Decimal("1.75"): "priority",
    Decimal("2"): "priority, or the premium of a 1 hour cache write",
    Decimal("10"): "a cache read at the price of input",
}


def price_words(cell: Cell) -> str | None:
    """The implied price of each kind that differs, with its likely meaning; None where no price explains the gap.

    Without tokens in the export a price is told from traffic by its ratio alone: only a known one counts.
    """
    if not cell.knows.usd_by_kind:
        return _whole_words(cell)
    kinds = [kind for kind in cell.usd_gaps if kind is not None]
    ratios = [_ratio(cell, kind) for kind in kinds]
    if len(kinds) > 1 and ratios[0] and all(ratio is not None and _alike(ratio, ratios[0]) for ratio in ratios):
        return _ratio_words(cell, ratios[0], "every kind that differs")
    parts = [_kind_words(cell, kind) for kind in kinds]
    return None if not parts or None in parts else "; ".join(part for part in parts if part)


def _implied(cell: Cell, kind: Kind) -> Decimal | None:
    """USD per token, from the export's dollars and the ledger's tokens."""
    tokens = cell.ours.tokens.get(kind)
    return cell.theirs.usd_by_kind.get(kind, ZERO) / tokens if tokens else None


def _ratio(cell: Cell, kind: Kind) -> Decimal | None:
    ours, implied = cell.ours.rate(kind), _implied(cell, kind)
    return implied / ours if ours and implied is not None else None


def _ratio_words(cell: Cell, ratio: Decimal, what: str) -> str | None:
    meaning = _meaning(ratio)
    if meaning is None and not cell.knows.tokens:
        return None
    return f"{_times(ratio)} on {what}: {meaning or 'a negotiated price? State it in FIVELEVERS_PRICES'}"


def _kind_words(cell: Cell, kind: Kind) -> str | None:
    ours, implied, ratio = cell.ours.rate(kind), _implied(cell, kind), _ratio(cell, kind)
    if ours is None or implied is None:
        return None
    if ratio is None:
        return f"{kind}: {_per_million(implied)}, the ledger has it for nothing"
    meaning = _as_kind(cell, kind, implied) or _meaning(ratio)
    if meaning is None and not cell.knows.tokens:
        return None
    words = f"{kind}: {_per_million(implied)}, the ledger has {_per_million(ours)} ({_times(ratio)})"
    return f"{words}: {meaning}" if meaning else words


def _whole_words(cell: Cell) -> str | None:
    """Only the sum is told: one ratio for all, or the one kind whose price alone would explain it."""
    ours, theirs = cell.ours.usd, cell.theirs.usd
    if not ours or theirs is None:
        return None
    fits = next(_single_kinds(cell, theirs - ours), None) if cell.knows.tokens else None
    if fits is not None and _meaning(theirs / ours) is None:
        return fits
    return _ratio_words(cell, theirs / ours, "the sum")


def _single_kinds(cell: Cell, gap: Decimal) -> Iterator[str]:
    for kind, usd in cell.ours.usd_by_kind.items():
        tokens = cell.ours.tokens.get(kind)
        other = _as_kind(cell, kind, (usd + gap) / tokens) if tokens else None
        if other is not None:
            yield f"fits {kind} at {_per_million((usd + gap) / Decimal(tokens or 1))}: {other}"


def _as_kind(cell: Cell, kind: Kind, implied: Decimal) -> str | None:
    """Where the implied rate is the ledger's rate of another kind: billed as that."""
    for other in Kind:
        rate = cell.ours.rate(other)
        if other is not kind and rate and _alike(implied, rate):
            return f"the price of {other}"
    return None


def _meaning(ratio: Decimal) -> str | None:
    return next((f"the price of {words}" for known, words in _RATIOS.items() if _alike(ratio, known)), None)


def _alike(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= _LIKE * other


def _times(ratio: Decimal) -> str:
    return f"x{ratio:.4f}".rstrip("0").rstrip(".")


def _per_million(rate: Decimal) -> str:
    return f"${rate * 1_000_000:.4f}/M"
