"""One audit: the levers in their order, each on what the ones before it left, what was spent, and what was wasted."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from decimal import Decimal

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.batch import BatchAudit
from fivelevers.audit.beside import Beside
from fivelevers.audit.bills import Days
from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.audit.differences import Differences
from fivelevers.audit.lines import Line
from fivelevers.audit.projections import Projections
from fivelevers.audit.prompt_cache import PromptCacheAudit, Settled
from fivelevers.audit.routing import RoutingAudit
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.audit.spending import Spending
from fivelevers.audit.waste import AskedAgain, Wasted, waste_of
from fivelevers.prices import PriceBook
from fivelevers.providers.cache_rules import TermBook

Charged = tuple[Charge | None, Decimal]
"""Of one call: what it cost, and USD that it costs more since lever 2 answers others."""


class Audit:
    """Takes the calls in arrival order. ``similar``: questions in other words are looked at too."""

    def __init__(self, prices: PriceBook, *, similar: bool) -> None:
        self._prices = prices
        self.prefixes = PromptCacheAudit(prices)
        self.differences = Differences(prices, TermBook(prices))
        self.beside: Beside[Charged, Settled] | None = None
        self.answers = SemanticCacheAudit(similar=similar)
        self.batch = BatchAudit(prices)
        self.routing = RoutingAudit(prices)
        self.spending = Spending()
        self.days = Days()
        self.asked = AskedAgain()

    def see(self, call: LoggedCall, route: str) -> None:
        """The next call, on ``route``."""
        call = with_provider(call, self._prices)
        if self.beside is None:
            charge = self.prefixes.see(call, route)
            taken = self.answers.see(call, route, charge)
            cooled = self.prefixes.cooled(taken)
        else:
            charge, cooled = self.beside.next()
            taken = self.answers.see(call, route, charge)
        self.differences.see(call, route)
        self.answers.lines()[route, call.model].cooled += cooled
        self.batch.see(call, route, charge, taken)
        self.routing.see(call, route, taken)
        self.spending.see(call, route, charge)
        self.days.see(call, charge)
        self.asked.see(call, route, charge)

    def lever_1(self, calls: Iterable[tuple[LoggedCall, str]]) -> Generator[Charged, None, Settled]:
        """What a process ``beside`` does, which has an audit of its own: half of all work. Calls with their routes."""
        self.answers = SemanticCacheAudit(similar=False)
        for call, route in calls:
            known = with_provider(call, self._prices)
            charge = self.prefixes.see(known, route)
            yield charge, self.prefixes.cooled(self.answers.see(known, route, charge))
        return self.prefixes.settled()

    def end(self) -> None:
        """After the last call."""
        if self.beside is not None:
            self.prefixes.settle(self.beside.result())
            self.beside = None

    def lines(self) -> list[Line]:
        """Those with the dearest input first."""
        return self.prefixes.lines()

    def projections(self) -> Projections:
        """After the last call, and the look-up of similar questions."""
        return Projections(self.answers, self.batch.lines(), self.routing)

    def waste(self) -> dict[tuple[str, str], dict[str, Wasted]]:
        """By route and model, and name; what is not in it is none."""
        return waste_of(self.lines(), self.answers, self.differences.tally, self.asked)
