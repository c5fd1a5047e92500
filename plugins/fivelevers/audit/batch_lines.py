"""What an audit says of lever 3: which calls of a route, a model and a caller may not need an answer at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from math import log, sqrt
from statistics import NormalDist
from typing import Final

from fivelevers.audit.answer_lines import ZERO, Charge
from fivelevers.policy import BatchSwitch

DEADLINE_S: Final = BatchSwitch().deadline_s
"""The batch lane's default."""

_NORMAL: Final = NormalDist()
_MEDIAN_S, _NINE_TENTHS_S = 7 * 60.0, 60 * 60.0


def unfinished(deadline_s: float) -> float:
    """Share of batched requests that are rescued at the deadline. ``deadline_s`` above 0.

    A lognormal through the only figures that a provider's batches were published with: OpenRouter, of 230,000 batches
    half were done in 7 minutes and nine tenths in an hour.
    """
    spread = log(_NINE_TENTHS_S / _MEDIAN_S) / _NORMAL.inv_cdf(0.9)
    return 1 - _NORMAL.cdf(log(deadline_s / _MEDIAN_S) / spread)


RESCUED: Final = Decimal(f"{unfinished(DEADLINE_S):.4f}")
_ALL_BUT: Final = 0.05  # of such logs
_MANY: Final = 1000  # batches, of which the normal distribution tells it


def rescued_at_most(batches: int) -> Decimal:
    """Share of so many batches, all as large, that more are rescued of in one log of twenty at most.

    The 95 % point of the binomial distribution: of a few batches one is a large share. Never below ``RESCUED``.
    """
    rate = float(RESCUED)
    if batches > _MANY:
        return RESCUED + Decimal(_NORMAL.inv_cdf(1 - _ALL_BUT) * sqrt(rate * (1 - rate) / batches))
    late, chance = 0, (1 - rate) ** batches
    below = chance
    while below < 1 - _ALL_BUT:
        chance *= (batches - late) / (late + 1) * rate / (1 - rate)
        late, below = late + 1, below + chance
    return max(Decimal(late) / max(batches, 1), RESCUED)


class Sign(StrEnum):
    """What speaks for nobody waiting."""

    DEFERRED = "asked for no answer at once"
    NAMED = "named so"
    BURST = "in bursts"
    CLOCK = "by the clock"


class Waiting(StrEnum):
    """What shows that somebody waited; a call counts under the first that holds."""

    STREAMED = "streamed"
    BROWSER = "from a browser"
    REPLIED = "replied to within the hour"


@dataclass(slots=True)
class Gain:
    """Calls at the batch price instead of the live one. USD: as paid live, as lever 1 had marked them, and batched."""

    calls: int = 0
    paid: Decimal = ZERO
    marked: Decimal = ZERO
    batched: Decimal = ZERO

    @classmethod
    def of(cls, live: Charge, batch: Decimal) -> Gain:
        """Of one call."""
        return cls(1, live.paid, live.marked, batch)

    def add(self, other: Gain) -> None:
        self.calls += other.calls
        self.paid += other.paid
        self.marked += other.marked
        self.batched += other.batched

    def usd(self, *, after_lever_1: bool, rescued: Decimal = RESCUED) -> Decimal:
        """Saved. ``rescued``: the share that is paid live, and its row of the batch too."""
        return (self.marked if after_lever_1 else self.paid) * (1 - rescued) - self.batched


@dataclass(slots=True)
class Caller:
    """One key's calls with one program, to one model on one route.

    Calls that were ``answered`` by lever 2, that no Batch API takes (``other_api``), that asked for a service tier with
    prices of its own (``other_tier``), that have no known price (``unpriced``), or none in batches
    (``no_batch_price``), stay as they are; so do those that somebody is seen to have waited for (``waits``).

    ``may``: the rest. Of these ``streams_unknown``: the log does not tell whether they were streamed,
    ``prompts_unknown``: nor, without a prompt, whether somebody replied; ``at_night``: between 22 and 6 o'clock UTC, or
    at a weekend; ``perhaps_answered``: lever 2 may take them; ``signed``: something speaks for nobody waiting, by
    ``signs``, with the words that name it, the number of bursts and the minutes of the clock.

    ``sure``: gain of the calls with a sign that lever 2 leaves. ``most``: of those of ``may`` that gain, each taken by
    itself, ``most_left`` of those that lever 2 leaves; ``dearer``: the number of the others. All twice: as they were
    paid, and as lever 1 had marked them.
    """

    route: str
    model: str
    key: str
    agent: str
    calls: int = 0
    answered: int = 0
    other_api: int = 0
    unpriced: int = 0
    other_tier: int = 0
    no_batch_price: int = 0
    waits: Counter[Waiting] = field(default_factory=Counter)
    may: int = 0
    streams_unknown: int = 0
    prompts_unknown: int = 0
    at_night: int = 0
    perhaps_answered: int = 0
    signed: int = 0
    signs: Counter[Sign] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)
    bursts: int = 0
    minutes: set[int] = field(default_factory=set)
    sure: Gain = field(default_factory=Gain)
    most: tuple[Decimal, Decimal] = (ZERO, ZERO)
    most_left: tuple[Decimal, Decimal] = (ZERO, ZERO)
    dearer: tuple[int, int] = (0, 0)

    def take(self, gain: Gain, *, perhaps_answered: bool = False) -> None:
        """One more call that may go."""
        self.may += 1
        self.perhaps_answered += perhaps_answered
        usual, best = ([gain.usd(after_lever_1=x, rescued=y) for x in (False, True)] for y in (RESCUED, ZERO))
        gained = max(best[0], ZERO), max(best[1], ZERO)
        self.most = self.most[0] + gained[0], self.most[1] + gained[1]
        if not perhaps_answered:
            self.most_left = self.most_left[0] + gained[0], self.most_left[1] + gained[1]
        self.dearer = self.dearer[0] + (usual[0] <= 0), self.dearer[1] + (usual[1] <= 0)

    def saving(self, *, after_lever_1: bool) -> tuple[Decimal, Decimal]:
        """USD over the log, (low, high).

        Low: the calls with a sign, all of them or none, since what reads a warm prefix pays for its write elsewhere; of
        their bursts, else of themselves, as many are rescued as is unlikely. High: each call that may go and gains by
        itself, none rescued.
        """
        rescued = rescued_at_most(self.bursts or self.sure.calls)
        low = max(self.sure.usd(after_lever_1=after_lever_1, rescued=rescued), ZERO)
        return low, self.most[after_lever_1]


@dataclass(slots=True)
class BatchLine:
    """One route and model, by caller."""

    route: str
    model: str
    callers: list[Caller] = field(default_factory=list)

    def total(self, name: str) -> int:
        """Sum of one of the counts."""
        return total(self.callers, name)

    @property
    def waiting(self) -> int:
        return sum(caller.waits.total() for caller in self.callers)

    @property
    def why_not(self) -> str:
        """Why no call may go, in a few words."""
        reasons = {
            "somebody waits": self.waiting,
            "no batch price": self.total("no_batch_price"),
            "price not known": self.total("unpriced"),
            "no batch API": self.total("other_api"),
            "another service tier": self.total("other_tier"),
            "answered by lever 2": self.total("answered"),
        }
        return max(reasons, key=lambda reason: reasons[reason])

    def saving(self, *, after_lever_1: bool, similar: Decimal = ZERO) -> tuple[Decimal, Decimal] | None:
        """USD over the log, (low, high); None where no call may go. ``similar``: the share of all calls that lever 2
        may have answered as similar to others; the low end is without them."""
        if not self.total("may"):
            return None
        ends = [caller.saving(after_lever_1=after_lever_1) for caller in self.callers]
        return sum((low for low, _ in ends), ZERO) * (1 - similar), sum((high for _, high in ends), ZERO)

    def most(self, *, after_lever_1: bool, similar: Decimal) -> Decimal:
        """USD over the log where lever 2 answers all that it may, ``similar`` of all calls among them."""
        return sum((caller.most_left[after_lever_1] for caller in self.callers), ZERO) * (1 - similar)


BatchLines = Mapping[tuple[str, str], BatchLine]
"""By route and model."""


def total(callers: Iterable[Caller], name: str) -> int:
    return sum(getattr(caller, name) for caller in callers)
