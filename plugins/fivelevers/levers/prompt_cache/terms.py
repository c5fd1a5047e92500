"""How a model's provider caches prefixes, and at which prices: the terms that every decision of this lever is taken on.

They come from outside (the price map, the rules file, the policy). Nothing here is assumed where a source is silent: a
TTL without a write price is a TTL that the provider does not offer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Style(StrEnum):
    """What a request says to have its prefix cached.

    ``MARKS``: Anthropic's ``cache_control``, tools before system before messages, 1h marks before 5m ones.
    ``BREAKPOINTS``: OpenAI's ``prompt_cache_breakpoint`` from the 5.6 family on, where writes are charged.
    ``AUTOMATIC``: nothing; the provider writes what it likes, free, and reads what it still has.
    ``NONE``: no caching that we know of.
    """

    MARKS = "marks"
    BREAKPOINTS = "breakpoints"
    AUTOMATIC = "automatic"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CacheRules:
    """One model's rules.

    ``minimum_tokens``: prefixes below it are silently neither written nor read. ``ttls_s``: lifetimes that can be asked
    for, in seconds, ascending. ``max_marks``: of one request, the client's own among them. ``look_back_blocks``: how
    many content blocks a mark looks back over for an entry, itself included; None: all of them.
    """

    style: Style
    minimum_tokens: int = 1024
    ttls_s: tuple[int, ...] = (300, 3600)
    max_marks: int = 4
    look_back_blocks: int | None = 20


@dataclass(frozen=True, slots=True)
class CachePrices:
    """Prices of a prompt token relative to an uncached one: of a read, and of a write by TTL in seconds."""

    read: float
    write: Mapping[int, float] = field(default_factory=dict)
