"""A projected saving, from its low end to its high one, in USD: as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fivelevers.audit.lines import Ends
from fivelevers.cli.logs import Pass
from fivelevers.cli.tables import money, usd


def a_month(ends: Ends | None, done: Pass) -> Ends | None:
    """At the rate of the logs; None where they are of one moment alone."""
    if ends is None or done.month is None:
        return None
    return ends[0] * done.month, ends[1] * done.month


def in_words(ends: Ends) -> str:
    low, high = (money(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def as_json(ends: Iterable[Decimal] | None) -> list[str] | None:
    return None if ends is None else [usd(round(end, 6)) for end in ends]
