"""One audit: the levers in their order, each on what the ones before it left, what was spent, and what was wasted."""

from __future__ import annotations

from fivelevers.audit.batch import BatchAudit
from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.audit.lines import Line
from fivelevers.audit.projections import Projections
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.audit.routing import RoutingAudit
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.audit.spending import Spending
from fivelevers.audit.waste import AskedAgain, Wasted, waste_of
from fivelevers.prices import PriceBook


class Audit:
    """Takes the calls in arrival order. ``similar``: questions in other words are looked at too."""

    def __init__(self, prices: PriceBook, *, similar: bool) -> None:
        self._prices = prices
        self.prefixes = PromptCacheAudit(prices)
        self.answers = SemanticCacheAudit(similar=similar)
        self.batch = BatchAudit(prices)
        self.routing = RoutingAudit(prices)
        self.spending = Spending()
        self.asked = AskedAgain()

    def see(self, call: LoggedCall, route: str) -> None:
        """The next call, on ``route``."""
        call = with_provider(call, self._prices)
        charge = self.prefixes.see(call, route)
        taken = self.answers.see(call, route, charge)
        self.answers.lines()[route, call.model].cooled += self.prefixes.cooled(taken)
        self.batch.see(call, route, charge, taken)
        self.routing.see(call, route, taken)
        self.spending.see(call, route, charge)
        self.asked.see(call, route, charge)

    def lines(self) -> list[Line]:
        """Those with the dearest input first."""
        return self.prefixes.lines()

    def projections(self) -> Projections:
        """After the last call, and the look-up of similar questions."""
        return Projections(self.answers, self.batch.lines(), self.routing)

    def waste(self) -> dict[tuple[str, str], dict[str, Wasted]]:
        """By route and model, and name; what is not in it is none."""
        return waste_of(self.lines(), self.answers, self.prefixes.differences.tally, self.asked)
