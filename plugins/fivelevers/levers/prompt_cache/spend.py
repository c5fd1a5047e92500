"""What marks make a provider read and write, by its documented rules and by what we believe it holds.

Source: platform.claude.com/docs/en/build-with-claude/prompt-caching and
developers.openai.com/api/docs/guides/prompt-caching. A read ends at the deepest live entry that a mark finds; what
comes after it, up to the last mark, is written at the TTL of the next mark. An entry holds its whole prefix, so that a
long TTL costs its price only on what was not read. Lifetimes run from the request's start; a read renews them free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fivelevers.levers.prompt_cache.node import Entry
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style

Held = Callable[[int], Entry | None]
"""The entry that ends at a position, live or not."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a request does to the cache, in prompt tokens: ``written`` by TTL, ``fresh`` neither read nor written."""

    read: int = 0
    written: Mapping[int, int] = field(default_factory=dict)
    fresh: int = 0

    def cost(self, prices: CachePrices) -> float:
        """In uncached prompt tokens; a TTL without a price counts as uncached."""
        written = sum(count * prices.write.get(ttl_s, 1.0) for ttl_s, count in self.written.items())
        return self.read * prices.read + written + self.fresh


@dataclass(frozen=True, slots=True)
class Spend:
    """``entries``: those that the request renews or writes, by index of position. ``read_at``: where its read ends."""

    use: Use
    entries: Mapping[int, Entry]
    read_at: int | None


def spend(
    positions: Sequence[Position],
    marks: Mapping[int, int],
    held: Held,
    rules: CacheRules,
    now: float,
    *,
    implicit: bool = False,
) -> Spend:
    """``marks``: TTL in seconds by index of position. ``implicit``: OpenAI's mode, which looks at all ends."""
    places = [at for at in sorted(marks) if positions[at].tokens >= rules.minimum_tokens]
    limit = 1 if rules.style is Style.BREAKPOINTS and not implicit else rules.look_back_blocks
    found = _found(positions, places, held, limit, now)
    read_at = max(found, default=None)
    end = read = 0 if read_at is None else positions[read_at].tokens
    entries = {at: Entry(entry.ttl_s, max(entry.ends_at, now + entry.ttl_s)) for at, entry in found.items()}
    written: dict[int, int] = {}
    for at in places:
        tokens, ttl_s = positions[at].tokens, marks[at]
        if tokens > read:
            written[ttl_s] = written.get(ttl_s, 0) + tokens - end
            end = tokens
            entries[at] = Entry(ttl_s, now + ttl_s)
    total = positions[-1].tokens if positions else 0
    return Spend(Use(read, written, total - end), entries, read_at)


def _found(
    positions: Sequence[Position], places: Sequence[int], held: Held, limit: int | None, now: float
) -> dict[int, Entry]:
    """The nearest live entry that each mark looks back to; an explicit breakpoint looks at its own place."""
    found = {}
    for place in places:
        for at in range(place, -1, -1):
            if limit is not None and positions[place].block - positions[at].block >= limit:
                break
            entry = held(at)
            if entry and now < entry.ends_at:
                found[at] = entry
                break
    return found
