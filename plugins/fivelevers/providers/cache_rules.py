"""The terms on which a deployment caches prefixes: its provider's rules from our data file, its prices from the book.

Providers that are not in the file get no mark: what they would do with one is not known. Bedrock, Vertex and Nova are
left out on purpose (`fivelevers check` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson

from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.prices import Kind, Price, PriceBook

_WRITES = (Kind.CACHE_WRITE_5M, Kind.CACHE_WRITE_1H)  # a provider's TTLs ascending, as the price map names them
_NO_RULES = CacheRules(Style.NONE, ttls_s=(), max_marks=0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the file: for which models of which provider (globs) the rules hold."""

    provider: str
    model: str
    rules: CacheRules

    def fits(self, provider: str, model: str) -> bool:
        return fnmatchcase(provider, self.provider) and fnmatchcase(model, self.model)


@dataclass(frozen=True, slots=True)
class CacheTerms:
    """What a decision is taken on. ``prices`` None: a rate is unknown, so no break-even is either."""

    rules: CacheRules
    prices: CachePrices | None


class TermBook:
    """Rules and prices of each deployment; asked in every request, so what was found is kept (bounded)."""

    def __init__(self, prices: PriceBook, rules: tuple[Rule, ...] | None = None) -> None:
        self._prices = prices
        self._rules = shipped() if rules is None else rules
        self.of = lru_cache(maxsize=1024)(self._of)

    def _of(self, provider: str, model: str, deployment: str | None) -> CacheTerms:
        """The terms of a deployment. ``model`` is the provider's name for it, without a prefix."""
        rules = next((rule.rules for rule in self._rules if rule.fits(provider, model.lower())), _NO_RULES)
        row = self._prices.row(model, provider=provider)
        minimum = row.get("prompt_cache_min_tokens")
        if isinstance(minimum, int) and rules.style is not Style.NONE:
            rules = replace(rules, minimum_tokens=minimum)
        price = self._prices.price(model, provider=provider, deployment=deployment)
        return CacheTerms(rules, relative(price, rules))


def relative(price: Price, rules: CacheRules) -> CachePrices | None:
    """Reads and writes over the price of an uncached token; None without a read price, or where input is free.

    A TTL whose write has no price is left out. Context tiers scale all rates alike in the map, so the first one serves.
    """
    plain, read = (price.rate(kind, prompt_tokens=0) for kind in (Kind.INPUT, Kind.CACHE_READ))
    if not plain or read is None:
        return None
    rates = {ttl_s: price.rate(kind, prompt_tokens=0) for ttl_s, kind in zip(rules.ttls_s, _WRITES, strict=False)}
    writes = {ttl_s: float(rate / plain) for ttl_s, rate in rates.items() if rate is not None}
    return CachePrices(read=float(read / plain), write=writes)


def style_of() -> Callable[[str, str], Style]:
    """How the models of a provider take marks, by the shipped rules alone: a function of (provider, model)."""
    rules = shipped()

    def style(provider: str, model: str) -> Style:
        return next((rule.rules.style for rule in rules if rule.fits(provider, model.lower())), Style.NONE)

    return style


def shipped() -> tuple[Rule, ...]:
    """The rules that come with the package (cache_rules.json, with sources and dates)."""
    text = (files("fivelevers.providers") / "cache_rules.json").read_bytes()
    return tuple(_rule(entry) for entry in orjson.loads(text)["rules"])


def _rule(entry: Mapping[str, Any]) -> Rule:
    rules = CacheRules(
        style=Style(entry["style"]),
        minimum_tokens=entry["minimum_tokens"],
        ttls_s=tuple(entry["ttls_s"]),
        max_marks=entry["max_marks"],
        look_back_blocks=entry["look_back_blocks"],
    )
    return Rule(entry["provider"], entry["model"], rules)
