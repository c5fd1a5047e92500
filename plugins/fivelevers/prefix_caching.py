"""Lever 1 on one attempt: what is known of its prefixes, where to mark it, and what its usage taught.

The one place where the decision meets its memory. No proxy's shape is known here; time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from fivelevers.levers.prompt_cache.breakpoints import Correction, Decision, Mark, decide, observe
from fivelevers.levers.prompt_cache.node import Node
from fivelevers.levers.prompt_cache.prefix import Position, prefix_of
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.prices import Usage
from fivelevers.request import Request

TOKENS_PER_CHAR = 0.25  # until a provider has reported usage
_LEARNED_SHARE = 0.1  # of a reported ratio in what is believed of a tokenizer
_RATIOS = (0.02, 2.0)  # what no tokenizer of text goes beyond
_TOKENIZERS_AT_MOST = 1000


class PrefixMemory(Protocol):
    """Where prefixes are remembered; ``look`` raises StoreError when it does not answer in time."""

    async def look(self, scope: bytes, nodes: Sequence[bytes]) -> Mapping[bytes, Node]: ...

    def note(self, scope: bytes, nodes: Mapping[bytes, Node], route: str, counts: Mapping[str, float]) -> None: ...

    def hazards(self, route: str) -> Hazards: ...


class Tokenizers:
    """Tokens for each character, by model, as reported usage tells them; bounded."""

    def __init__(self) -> None:
        self._ratios: dict[str, float] = {}

    def of(self, model: str) -> float:
        return self._ratios.get(model, TOKENS_PER_CHAR)

    def learn(self, model: str, chars: int, tokens: int) -> None:
        if not chars or not tokens or (model not in self._ratios and len(self._ratios) >= _TOKENIZERS_AT_MOST):
            return
        seen = min(max(tokens / chars, _RATIOS[0]), _RATIOS[1])
        before = self._ratios.get(model, seen)
        self._ratios[model] = before + _LEARNED_SHARE * (seen - before)


@dataclass(frozen=True, slots=True)
class Considered:
    """What was decided for one attempt. ``shadow``: nothing of it was carried out."""

    scope: bytes
    route: str
    provider: str
    model: str
    chars: int
    positions: tuple[Position, ...]
    rules: CacheRules
    decision: Decision
    shadow: bool

    @property
    def marks(self) -> tuple[Mark, ...]:
        return self.decision.marks

    def segment(self, mark: Mark) -> int:
        """The index of the segment that a mark stands on."""
        return self.positions[mark.at].segment

    def without_us(self, usage: Usage) -> Usage:
        """What the provider had billed for the same prompt, had we never marked anything.

        The decision's belief in estimated tokens, scaled to those that were reported.
        """
        alone = self.decision.client_alone
        total = alone.read + alone.fresh + sum(alone.written.values())
        if not total:
            return usage
        scale = usage.prompt / total
        read = round(alone.read * scale)
        written = {ttl_s: round(tokens * scale) for ttl_s, tokens in alone.written.items()}
        hour = sum(tokens for ttl_s, tokens in written.items() if ttl_s == max(self.rules.ttls_s, default=0))
        hour = hour if len(self.rules.ttls_s) > 1 else 0
        short = sum(written.values()) - hour
        fresh = max(usage.prompt - read - hour - short, 0)
        return Usage(input=fresh, cache_read=read, cache_write_5m=short, cache_write_1h=hour, output=usage.output)


def scope_of(*parts: str | None, shadow: bool) -> bytes:
    """Who shares entries: workspace, provider, model. What is only imagined in shadow mode is remembered apart."""
    text = "\0".join(part or "" for part in (*parts, "shadow" if shadow else "on"))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10].encode()


async def consider(
    request: Request,
    takes: Sequence[bool],
    rules: CacheRules,
    prices: CachePrices,
    memory: PrefixMemory,
    *,
    scope: bytes,
    route: str,
    provider: str,
    model: str,
    tokens_per_char: float,
    shadow: bool,
    now: float,
) -> Considered:
    """Decide where to mark. ``takes``: for each segment whether the body can carry a mark there.

    Raises StoreError where the memory does not answer: then nothing is known, and nothing shall be marked.
    """
    positions = prefix_of(request, b"", tokens_per_char, takes=takes, system_first=rules.style is Style.MARKS)
    known = await memory.look(scope, [position.node for position in positions]) if positions else {}
    decision = decide(positions, known, memory.hazards(route), prices, rules, now=now)
    memory.note(scope, decision.nodes, route, decision.counts)
    return Considered(scope, route, provider, model, request.chars, positions, rules, decision, shadow)


async def believed(
    request: Request,
    rules: CacheRules,
    prices: CachePrices,
    memory: PrefixMemory,
    *,
    scope: bytes,
    route: str,
    tokens_per_char: float,
    now: float,
) -> Use:
    """What a request would read, write and pay in full if it were sent now; nothing is remembered of the question.

    Raises StoreError.
    """
    positions = prefix_of(request, b"", tokens_per_char, system_first=rules.style is Style.MARKS)
    known = await memory.look(scope, [position.node for position in positions]) if positions else {}
    return decide(positions, known, memory.hazards(route), prices, rules, now=now).expected


def learn(considered: Considered, usage: Usage | None, memory: PrefixMemory, *, now: float) -> Correction:
    """Hold the belief against what the provider billed. ``usage`` None: the call failed, so nothing was cached."""
    reported = None
    if usage is not None:
        ttls = considered.rules.ttls_s
        written = {
            ttl_s: tokens
            for ttl_s, tokens in zip(ttls, (usage.cache_write_5m, usage.cache_write_1h), strict=False)
            if tokens
        }
        reported = Use(usage.cache_read, written, usage.input)
    correction = observe(considered.positions, considered.decision, reported, now=now)
    memory.note(considered.scope, correction.nodes, considered.route, correction.counts)
    return correction
