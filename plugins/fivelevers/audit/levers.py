"""The audits of levers 1 to 3, each of what the ones before it left."""

from __future__ import annotations

from fivelevers.audit.answer_lines import Charge, Taken
from fivelevers.audit.batch import BatchAudit
from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.prices import PriceBook


class LeverAudits:
    """Takes the calls in arrival order. ``similar``: questions in other words are looked at too."""

    def __init__(self, prices: PriceBook, *, similar: bool) -> None:
        self._prices = prices
        self.prefixes = PromptCacheAudit(prices)
        self.answers = SemanticCacheAudit(similar=similar)
        self.batch = BatchAudit(prices)

    def see(self, call: LoggedCall, route: str) -> tuple[LoggedCall, Charge | None, Taken]:
        """The call with its provider, what it cost (None: no price), and whether lever 2 had answered it."""
        call = with_provider(call, self._prices)
        charge = self.prefixes.see(call, route)
        taken = self.answers.see(call, route, charge)
        self.answers.lines()[route, call.model].cooled += self.prefixes.cooled(taken)
        self.batch.see(call, route, charge, taken)
        return call, charge, taken
