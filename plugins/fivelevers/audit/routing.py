"""Lever 4's part of the audit: whether a cheaper model would have been good enough, as far as a log can tell.

A log has one answer to each prompt, so it never tells what another model would have made of the same one. Where it says
which answers were good, and a route was answered by several models, their shares of good answers can be held against
each other. That is a hint and no proof: whoever sent the calls may have sorted them. Else the answer is unknown, and
the audit tells the benchmark that finds it, at the price of the log's own tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import sqrt
from typing import Final

from fivelevers.audit.answer_lines import Taken, wilson
from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.metering.cost import rounded
from fivelevers.prices import Kind, Price, PriceBook

EPSILON: Final = 0.02
"""How much less often right a cheaper model may be: the default of `fivelevers route fit`."""

TO_FIT, TO_CERTIFY = 1_500, 1_000
"""Prompts of a benchmark. So many certify a loss of at most two points on public data (docs/routing.md)."""


class Unknown(StrEnum):
    """Why there is no figure, in a few words."""

    NO_LABELS = "no labels"
    ONE_MODEL = "one model labelled"
    CHEAPEST = "cheapest already"
    NOT_SHOWN = "cheaper not shown"
    NO_PRICE = "price not known"
    NOTHING_LEFT = "lever 2 takes all"


@dataclass(slots=True)
class RoutingLine:
    """One route and model. ``left``: calls that lever 2 does not surely answer; their tokens; ``good`` and ``bad``
    ones of them, where the log says so.
    """

    route: str
    model: str
    price: Price
    left: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    good: int = 0
    bad: int = 0

    @property
    def labelled(self) -> int:
        return self.good + self.bad

    def usd(self, price: Price) -> Decimal | None:
        """All its tokens at a price, nothing cached; None where that is not known."""
        if not self.left:
            return None
        prompt = self.prompt_tokens // self.left
        rates = [price.rate(kind, prompt_tokens=prompt) for kind in (Kind.INPUT, Kind.OUTPUT)]
        if rates[0] is None or rates[1] is None:
            return None
        return rounded(self.prompt_tokens * rates[0] + self.output_tokens * rates[1])

    def benchmark_usd(self) -> tuple[Decimal, Decimal] | None:
        """What the benchmark's answers cost: with a candidate that costs nothing, and with one that is as dear."""
        whole = self.usd(self.price)
        if whole is None:
            return None
        once = rounded(whole / self.left * (TO_FIT + TO_CERTIFY))
        return once, 2 * once


@dataclass(frozen=True, slots=True)
class Shown:
    """``model`` was right as often, within ``EPSILON``, on the same route. ``share``: what its tokens would cost."""

    model: str
    share: Decimal
    difference: float
    least: float


class RoutingAudit:
    """Takes the calls in arrival order; ``lines`` and ``shown`` say what came out."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._lines: dict[tuple[str, str], RoutingLine] = {}

    def see(self, call: LoggedCall, route: str, taken: Taken) -> None:
        """The next call, on ``route``; ``taken``: by lever 2."""
        call = with_provider(call, self._prices)
        line = self._lines.get((route, call.model))
        if line is None:
            price = self._prices.price(call.model, provider=call.provider or None, deployment=call.deployment)
            line = self._lines.setdefault((route, call.model), RoutingLine(route, call.model, price))
        if taken is Taken.SURELY:
            return
        line.left += 1
        line.prompt_tokens += call.usage.prompt
        line.output_tokens += call.usage.output
        line.good += call.good is True
        line.bad += call.good is False

    def line(self, route: str, model: str) -> RoutingLine:
        return self._lines[route, model]

    def lines(self) -> list[RoutingLine]:
        return list(self._lines.values())

    def shown(self, line: RoutingLine) -> Shown | Unknown:
        """The cheapest model that the log shows to be as good on a line's route; or why there is none."""
        if not line.left:
            return Unknown.NOTHING_LEFT
        own = line.usd(line.price)
        if not own:
            return Unknown.NO_PRICE if own is None else Unknown.CHEAPEST
        if not line.labelled:
            return Unknown.NO_LABELS
        others = [one for one in self._lines.values() if one.route == line.route and one is not line and one.labelled]
        if not others:
            return Unknown.ONE_MODEL
        cheaper = [(one, usd) for one in others if (usd := line.usd(one.price)) is not None and usd < own]
        found = (Shown(one.model, usd / own, *_difference(one, line)) for one, usd in cheaper)
        good = [one for one in found if one.least >= -EPSILON]
        if good:
            return min(good, key=lambda one: one.share)
        return Unknown.NOT_SHOWN if cheaper else Unknown.CHEAPEST


def _difference(one: RoutingLine, other: RoutingLine) -> tuple[float, float]:
    """How much more often the first is right, and its lower 97.5 % bound (Newcombe 1998, method 10)."""
    share, against = one.good / one.labelled, other.good / other.labelled
    low, high = wilson(one.good, one.labelled)[0], wilson(other.good, other.labelled)[1]
    difference = share - against
    return difference, difference - sqrt((share - low) ** 2 + (high - against) ** 2)


def labelled(lines: Iterable[RoutingLine]) -> int:
    return sum(line.labelled for line in lines)
