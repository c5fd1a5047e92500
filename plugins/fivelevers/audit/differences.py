"""Where the prompts of a log part from the last ones that are like them, and what that cost."""

from __future__ import annotations

from decimal import Decimal

from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.levers.prompt_cache.difference import excerpt
from fivelevers.levers.prompt_cache.likeness import LastOpenings
from fivelevers.levers.prompt_cache.opening import fingerprint, opening_chars
from fivelevers.levers.prompt_cache.tally import PLACES_AT_MOST, Parted, Place, Tally
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import Kind, PriceBook
from fivelevers.providers.cache_rules import TermBook


class Differences:
    """Takes the calls in arrival order."""

    def __init__(self, prices: PriceBook, terms: TermBook) -> None:
        self._prices, self._terms = prices, terms
        self.examples: dict[Place, str] = {}  # text: shown to nobody who did not ask for it
        self._openings = LastOpenings()
        self.tally = Tally()
        self.compared = 0

    def see(self, call: LoggedCall, route: str) -> None:
        """The next call, on ``route``; one without a prompt says nothing."""
        request, opening = call.request, call.opening
        if request is None or opening is None or not request.chars or not call.usage.prompt:
            return
        call = with_provider(call, self._prices)
        terms = self._terms.of(call.provider or "", call.model, call.deployment)
        per_char = call.usage.prompt / request.chars
        if terms.rules.style is Style.NONE or opening_chars(request) * per_char < terms.rules.minimum_tokens:
            return
        self.compared += 1
        key, seen = (route, call.model, call.caller.tenant("team")), fingerprint(request)
        if self._openings.repeats(key, seen, call.at):
            return
        told = self._openings.compare(key, seen, opening, call.at)
        if told is None:
            return
        tokens = min(int(told.lost_chars * per_char), call.usage.prompt - call.usage.cache_read)
        usd = tokens * self._beyond_a_read(call)
        place = Place.of(route, call.model, told)
        self.tally.add(place, Parted(1, tokens, usd, told.offset))
        if len(self.examples) < PLACES_AT_MOST:
            self.examples.setdefault(place, excerpt(opening, told))

    def _beyond_a_read(self, call: LoggedCall) -> Decimal:
        """USD that a token costs more than one read from the cache; 0 where a price is unknown."""
        price = self._prices.price(call.model, provider=call.provider, deployment=call.deployment)
        plain, read = (price.rate(k, prompt_tokens=call.usage.prompt) for k in (Kind.INPUT, Kind.CACHE_READ))
        return Decimal(0) if plain is None or read is None else plain - read
