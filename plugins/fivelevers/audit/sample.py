"""A part of a log: whole blocks of six hours, drawn by their hash; and how far what they tell may lie from all of it.

Calls drawn one by one would lie further apart than they came, and no cache would seem warm. Within a block all is as it
was; what its first calls go on from lies outside, so that lever 1 is told a little too low, and lever 2, whose answers
live for a day, by as much as it likes: of that one the low end's lower bound alone says something. The
error is the jackknife's (Quenouille 1956, Tukey 1958) over ten groups of blocks: of the USD of a call, with the
correction for a part of a finite whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Final

from fivelevers.audit.audit import Audit
from fivelevers.audit.blocks import block_of, hashed
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.lines import Ends
from fivelevers.audit.steps import Steps, steps
from fivelevers.prices import PriceBook

GROUPS: Final = 10
_LEAST: Final = 5  # groups with a block: of fewer nothing is told
# Student's t of 97.5 %, by degrees of freedom.
_T: Final = {4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True, slots=True)
class Errors:
    """USD over the sample by which each may be off, with 95 %: ``paid``, and by lever each end of its saving."""

    paid: Decimal
    saving: Mapping[str, Ends]


class Groups:
    """The calls of the sample once more, in ten audits of some blocks each."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._audits: dict[int, Audit] = {}
        self._calls: defaultdict[int, int] = defaultdict(int)

    def see(self, call: LoggedCall, route: str) -> None:
        """The next call, on ``route``."""
        group = int(hashed("group", block_of(call.at)) * GROUPS)
        if group not in self._audits:
            self._audits[group] = Audit(self._prices, similar=False)
        self._audits[group].see(call, route)
        self._calls[group] += 1

    def errors(self, whole: Steps, share: float) -> Errors | None:
        """None where too few groups have a block."""
        if len(self._audits) < _LEAST:
            return None
        found = {group: steps(made.lines(), made.projections()) for group, made in self._audits.items()}
        counts = [self._calls[group] for group in found]
        paid = _off([one.paid for one in found.values()], whole.paid, counts, share)
        saving = {}
        for at, step in enumerate(whole.steps):
            if step.saving is not None:
                parts = [one.steps[at].saving or (Decimal(0), Decimal(0)) for one in found.values()]
                low, high = (_off([part[end] for part in parts], step.saving[end], counts, share) for end in (0, 1))
                saving[step.lever.name] = low, high
        return Errors(paid, saving)


def _off(parts: Sequence[Decimal], whole: Decimal, counts: Sequence[int], share: float) -> Decimal:
    """Half of the 95 % interval of ``whole``: of as many calls as the sample has."""
    calls = sum(counts)
    without = [float(whole - part) / (calls - count) for part, count in zip(parts, counts, strict=True)]
    mean, groups = sum(without) / len(without), len(without)
    variance = (groups - 1) / groups * sum((one - mean) ** 2 for one in without)
    return Decimal(_T[groups - 1] * sqrt(variance * (1 - share)) * calls)
