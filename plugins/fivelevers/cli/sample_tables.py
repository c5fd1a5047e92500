"""How the errors of a sample look: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fivelevers.audit.blocks import BLOCK_S, drawn
from fivelevers.audit.lines import Ends
from fivelevers.audit.sample import Errors
from fivelevers.audit.steps import Step, Steps
from fivelevers.cli.logs import Pass
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.tables import money, usd

_HOURS = f"{BLOCK_S / 3600:.0f} hours"
_TOO_LOW = "semantic_cache"
_EDGES = (
    "What a block's first calls go on from lies outside. Lever 1 is told a little too low. Lever 2, whose answers live "
    "for a day, saves at least that, and how much more no sample tells; levers 3 and 4 have so much less left."
)


@dataclass(frozen=True, slots=True)
class Sampled:
    """``errors`` None: there are too few blocks to tell."""

    whole: Steps
    errors: Errors | None
    done: Pass

    @property
    def blocks(self) -> int:
        account = self.done.account
        return sum(drawn(block, account.share) for block in account.blocks)

    def paid(self) -> Ends | None:
        """USD a month of all calls, 95 %."""
        if self.errors is None:
            return None
        return a_month((self.whole.paid - self.errors.paid, self.whole.paid + self.errors.paid), self.done)

    def saving(self, step: Step) -> tuple[Decimal, Decimal | None] | None:
        """USD a month of all calls: from the low end's lower to the high end's upper bound, which lever 2 has not."""
        if self.errors is None or step.saving is None:
            return None
        low, high = self.errors.saving[step.lever.name]
        ends = a_month((max(step.saving[0] - low, Decimal(0)), step.saving[1] + high), self.done)
        return (ends[0], None) if ends and step.lever.name == _TOO_LOW else ends


def sample_notes(found: Sampled | None) -> Iterator[str]:
    if found is None:
        return
    account = found.done.account
    calls = f"{account.drawn:,} of {account.calls:,} calls"
    yield (
        f"Sampled: {found.blocks:,} of {len(account.blocks):,} blocks of {_HOURS}, {calls}. Amounts a month are of all "
        "calls; counts, and amounts in the log, are the sample's."
    )
    paid = found.paid()
    if paid is None:
        yield "How far that is from all of the log is not known: too few blocks were drawn for it."
    else:
        savings = [(step, found.saving(step)) for step in found.whole.steps]
        parts = [f"lever {step.lever.number} {_told(ends)}" for step, ends in savings if ends and any(ends)]
        yield f"95 %, a month: paid {in_words(paid)}" + "".join(f"; {part}" for part in parts) + "."
    yield _EDGES


def _told(ends: tuple[Decimal, Decimal | None]) -> str:
    low, high = ends
    return f"at least {money(low)}" if high is None else in_words((low, high))


def _record(ends: tuple[Decimal, Decimal | None] | None) -> list[str | None] | None:
    """The high end is null where there is none."""
    return None if ends is None else [None if end is None else usd(round(end, 6)) for end in ends]


def sample_record(found: Sampled | None) -> dict[str, Any] | None:
    if found is None:
        return None
    account = found.done.account
    savings = {step.lever.name: _record(found.saving(step)) for step in found.whole.steps if step.saving is not None}
    return {
        "share": account.share,
        "block_s": BLOCK_S,
        "blocks": found.blocks,
        "of_blocks": len(account.blocks),
        "calls": account.drawn,
        "of_calls": account.calls,
        "paid_a_month_95_usd": as_json(found.paid()),
        "saving_a_month_95_usd": savings if found.errors is not None else None,
    }
