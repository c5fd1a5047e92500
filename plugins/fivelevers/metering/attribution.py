"""Which lever saved what on one request, and what was wasted.

The levers are switched on in thought one after the other, in lever order, and the request is priced each time. What a
step takes off is that lever's saving; what a lever itself spent (judge, embedding, audit, shadow calls) is charged to
it. So the parts add up exactly to (cost without us - cost), and a lever's sum may be negative.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from fivelevers.order import LEVER_NAMES


class Basis(StrEnum):
    """How a saving is known."""

    OBSERVED = "observed"  # the provider billed different tokens, or another rate, because of us
    ESTIMATED = "estimated"  # the bill does not show what would have been: a hit, a routed answer


@dataclass(frozen=True, slots=True)
class Step:
    """The request priced with this lever and all before it: `usd` is what it costs then, overheads left out."""

    lever: str
    basis: Basis
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Saving:
    """What one lever took off (USD; negative where it cost more than it saved)."""

    lever: str
    basis: Basis
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Attribution:
    """One request in USD. The sum over `savings` is exactly `cost_without_us - cost`."""

    cost_without_us: Decimal
    cost: Decimal
    savings: tuple[Saving, ...]

    @property
    def saved(self) -> Decimal:
        return self.cost_without_us - self.cost


def attribute(
    cost_without_us: Decimal, steps: Sequence[Step], overheads: Mapping[str, Decimal] | None = None
) -> Attribution:
    """Splits one request's saving.

    `steps`: the levers that acted, in lever order; the last one's `usd` is what the answer was billed at. `overheads`:
    USD that a lever's own calls cost, acting or not. Amounts come in picodollars (`cost.rounded`). Raises ValueError
    where the steps are out of order or a name is no lever's.
    """
    overheads = overheads or {}
    _check_order([step.lever for step in steps], overheads)
    billed = steps[-1].usd if steps else cost_without_us
    savings = [*_taken_off(cost_without_us, steps), *_charged(overheads)]
    savings.sort(key=lambda saving: LEVER_NAMES.index(saving.lever))
    return Attribution(cost_without_us, billed + sum(overheads.values(), Decimal(0)), tuple(savings))


def _taken_off(before: Decimal, steps: Sequence[Step]) -> Iterable[Saving]:
    for step in steps:
        yield Saving(step.lever, step.basis, before - step.usd)
        before = step.usd


def _charged(overheads: Mapping[str, Decimal]) -> Iterable[Saving]:
    """What a lever spends is on a bill, so it is observed even where its saving is estimated."""
    return (Saving(lever, Basis.OBSERVED, -usd) for lever, usd in overheads.items())


def _check_order(acted: Sequence[str], overheads: Iterable[str]) -> None:
    for name in (*acted, *overheads):
        if name not in LEVER_NAMES:
            raise ValueError(f"lever: {name!r} is none of {', '.join(LEVER_NAMES)}")
    if list(acted) != [name for name in LEVER_NAMES if name in acted]:
        raise ValueError(f"steps: {', '.join(acted)} is not lever order; give each lever once, as in order.py")


class WasteKind(StrEnum):
    """Money that bought nothing."""

    FAILED_REQUEST = "failed_request"
    SUPERSEDED_ATTEMPT = "superseded_attempt"
    UNREAD_CACHE_WRITE = "unread_cache_write"
    WRONG_HIT = "wrong_hit"
    DISCARDED_WEAK_CALL = "discarded_weak_call"
    DOUBLE_BILLED_RESCUE = "double_billed_rescue"


@dataclass(frozen=True, slots=True)
class Waste:
    """`usd` of one kind of waste."""

    kind: WasteKind
    usd: Decimal
