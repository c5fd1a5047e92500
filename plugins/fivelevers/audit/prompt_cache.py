"""Lever 1's part of the audit: what a log tells of provider caches, and what marking would have made of the same calls.

The projection is the live decision's own code over the log in arrival order (levers/prompt_cache/replay.py), at the
prices of each model. It is held against what was paid, and against what the same code says that the calls had cost as
they were, with the client's own marks: how far these lie apart is how far the projection is to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from fivelevers.audit.answer_lines import Charge, Taken
from fivelevers.audit.calls import LoggedCall, Text, with_provider
from fivelevers.audit.cooled import Cooled, Marked
from fivelevers.audit.lines import ACTS_ON, ZERO, Line
from fivelevers.audit.never_read import NeverRead
from fivelevers.levers.prompt_cache.prefix import prefix_of
from fivelevers.levers.prompt_cache.replay import Replay
from fivelevers.levers.prompt_cache.reuse import Gaps
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.metering.cost import Unknown, cost_parts, rounded
from fivelevers.prices import Kind, Price, PriceBook
from fivelevers.providers.cache_rules import CacheTerms, TermBook

_WRITES = (Kind.CACHE_WRITE_1H, Kind.CACHE_WRITE_5M)  # as they stand in a prompt: the longest lifetime first
_LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What comes out of it, as another process can be sent it."""

    lines: dict[tuple[str, str], Line]
    gaps: dict[str, Gaps]


class PromptCacheAudit:
    """Takes the calls in arrival order; ``lines`` say what came out."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices, self._terms = prices, TermBook(prices)
        self._replay = Replay()
        self._gaps: dict[str, Gaps] = {}
        self._lines: dict[tuple[str, str], Line] = {}
        self._never_read: dict[tuple[Kind, str, str], NeverRead[tuple[str, Decimal]]] = {}
        self.cools = Cooled()
        self._last: Marked | None = None

    def see(self, call: LoggedCall, route: str) -> Charge | None:
        """The next call, on ``route``. Tells what it cost, and what it had cost with this lever; None: no price."""
        call = with_provider(call, self._prices)
        self._last = None
        terms = self._terms.of(call.provider or "", call.model, call.deployment)
        price = self._prices.price(call.model, provider=call.provider or None, deployment=call.deployment)
        line = self._lines.setdefault(
            (route, call.model), Line(route, call.model, terms.rules.style, call.provider or "")
        )
        line.calls += 1
        line.usage += call.usage
        line.no_text += call.text is not Text.WHOLE
        self._follow_writes(call, price, terms, line)
        parts = cost_parts(call.usage, price)
        if isinstance(parts, Unknown):
            line.unpriced_tokens += call.usage.total
            return None
        in_all = sum(parts.values(), ZERO)
        paid = in_all - parts.get(Kind.OUTPUT, ZERO)
        line.priced += 1
        line.input_usd += paid
        line.cost_usd += in_all
        line.logged_usd = _plus(line.logged_usd, call.logged_usd)
        marked = self._project(call, price, terms, line, paid)
        return Charge(in_all, in_all if marked is None else in_all - paid + marked)

    def cooled(self, taken: Taken) -> Decimal:
        """USD that the last call costs more since lever 2 answers others, so that they renew no entry."""
        return ZERO if self._last is None else self.cools.see(self._last, taken, self._replay)

    def settled(self) -> Settled:
        """After the last call."""
        return Settled(self._lines, self.gaps())

    def settle(self, found: Settled) -> None:
        """What another such audit, of the same calls, came to."""
        self._lines, self._gaps = found.lines, found.gaps

    def lines(self) -> list[Line]:
        """Those with the dearest input first."""
        return sorted(self._lines.values(), key=lambda line: (-line.input_usd, line.route, line.model))

    def gaps(self) -> dict[str, Gaps]:
        """By route, of the calls whose prompts are in the log."""
        return self._gaps or self._replay.gaps()

    def _follow_writes(self, call: LoggedCall, price: Price, terms: CacheTerms, line: Line) -> None:
        """Find the writes that nobody read: of all routes together, since they share the provider's cache."""
        read, start = call.usage.cache_read, call.usage.cache_read
        for kind in _WRITES:
            written = getattr(call.usage, kind.value)
            key = (kind, call.provider or "", call.model)
            if written and key not in self._never_read:
                self._never_read[key] = NeverRead(_lifetime_s(kind, terms))
            if key in self._never_read:
                for (route, premium), tokens in self._never_read[key].see(
                    call.at, read, start, start + written, (line.route, _premium(price, kind))
                ):
                    wasteful = self._lines[route, call.model]
                    wasteful.never_read += tokens
                    wasteful.never_read_usd += tokens * premium
            start += written

    def _project(self, call: LoggedCall, price: Price, terms: CacheTerms, line: Line, paid: Decimal) -> Decimal | None:
        """USD of the input as it had been marked; None where the lever would leave it as it is."""
        plain = price.rate(Kind.INPUT, prompt_tokens=call.usage.prompt)
        if plain is None or terms.prices is None or terms.rules.style is Style.NONE:
            return None
        if call.usage.prompt < terms.rules.minimum_tokens:
            line.below_minimum += 1
        else:
            line.at_most_usd += max(paid - _usd(call.usage.prompt * terms.prices.read, plain), ZERO)
        if terms.rules.style not in ACTS_ON or call.request is None or not call.request.chars:
            return None
        scope = "/".join((call.provider or "", call.model, call.deployment or "")).encode()
        per_char = (call.usage.prompt + 0.5) / call.request.chars  # so that positions, rounded down, end at all of it
        positions = prefix_of(call.request, scope, per_char, system_first=terms.rules.style is Style.MARKS)
        line.projected.prompt += call.usage.prompt
        line.projected.reusable += self._replay.reusable(positions)
        decision = self._replay.take(line.route, positions, terms.prices, terms.rules, at=call.at)
        told = line.projected
        told.calls += 1
        told.paid += paid
        told.marks += len(decision.marks)
        marked = _usd(decision.expected.cost(terms.prices), plain)
        told.marked += marked
        self._last = Marked(line.route, positions, terms.prices, terms.rules, call.at, plain, marked)
        told.as_it_was += _usd(decision.client_alone.cost(terms.prices), plain)
        return marked


def _plus(total: Decimal | None, usd: Decimal | None) -> Decimal | None:
    return None if total is None or usd is None else total + usd


def _lifetime_s(kind: Kind, terms: CacheTerms) -> float:
    """How long such an entry lives; the longest there is where the rules are silent, so that no reader is missed."""
    at = 1 if kind is Kind.CACHE_WRITE_1H else 0
    return float(terms.rules.ttls_s[at]) if at < len(terms.rules.ttls_s) else _LONGEST_S


def _premium(price: Price, kind: Kind) -> Decimal:
    """USD that a written token costs more than a plain one; 0 where a price is unknown."""
    write, plain = (price.rate(k, prompt_tokens=0) for k in (kind, Kind.INPUT))
    return ZERO if write is None or plain is None else write - plain


def _usd(tokens: float, plain: Decimal) -> Decimal:
    return rounded(Decimal(str(tokens)) * plain)
