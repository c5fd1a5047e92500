"""What a provider bills for marked prompts: Anthropic's documented rules, written apart from the package's own beliefs.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching: an entry ends where a request marked, and holds
the whole prefix; a mark finds the nearest entry before it; reads renew it free; what follows the deepest one found is
written at the TTL of the mark that comes next. An entry can be read 2 s after its request began. Traces do not tell
content blocks, so marks look back without limit, for every rule alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.rig.prefix_trace import Arrival

MINUTES, HOUR = 300, 3600
READ, WRITE = 0.1, {MINUTES: 1.25, HOUR: 2.0}
MINIMUM_TOKENS = 1024
MAX_MARKS = 4
VISIBLE_AFTER_S = 2.0

Marks = list[tuple[int, int]]
"""Index of the position and TTL in seconds, in the order of the prompt."""
Rule = Callable[[Arrival], Marks]


class Provider:
    """Bills in uncached prompt tokens."""

    def __init__(self, read: float = READ) -> None:
        self._entries: dict[bytes, tuple[int, float, float]] = {}  # TTL, readable from, until
        self._read = read
        self.cost = 0.0
        self.tokens = 0
        self.tokens_read = 0
        self.tokens_written = dict.fromkeys(WRITE, 0)

    def bill(self, arrival: Arrival, marks: Marks) -> None:
        """Raises ValueError for marks that the provider refuses."""
        if len(marks) > MAX_MARKS or [ttl for _, ttl in marks] != sorted((ttl for _, ttl in marks), reverse=True):
            raise ValueError(f"a provider answers 400 to {marks}")
        positions, now = arrival.positions, arrival.at
        found = {hit for at, _ in marks if (hit := self._nearest(arrival, at)) is not None}
        for hit in found:
            ttl, readable, until = self._entries[positions[hit].node]
            self._entries[positions[hit].node] = ttl, readable, max(until, now + ttl)
        end = read = positions[max(found)].tokens if found else 0
        self.cost += self._read * read
        for at, ttl in marks:
            place = positions[at]
            if place.tokens > read and place.tokens >= MINIMUM_TOKENS:
                self.cost += WRITE[ttl] * (place.tokens - end)
                self.tokens_written[ttl] += place.tokens - end
                end = place.tokens
                self._entries[place.node] = ttl, now + VISIBLE_AFTER_S, now + ttl
        self.cost += arrival.tokens - end
        self.tokens += arrival.tokens
        self.tokens_read += read

    def _nearest(self, arrival: Arrival, mark: int) -> int | None:
        for at in range(mark, -1, -1):
            entry = self._entries.get(arrival.positions[at].node)
            if entry and entry[1] <= arrival.at < entry[2]:
                return at
        return None

    @property
    def ratio(self) -> float:
        """Input cost; 1 is all uncached."""
        return self.cost / self.tokens if self.tokens else 1.0


def rule(head_ttl: int | None, tail_ttl: int | None) -> Rule:
    """Always the end of the system prompt and the end of the request, each for so long or not at all."""

    def marks(arrival: Arrival) -> Marks:
        tip, head = len(arrival.positions) - 1, arrival.head
        placed = [(head, head_ttl)] if head is not None and head_ttl and (head != tip or not tail_ttl) else []
        return [*placed, (tip, tail_ttl)] if tail_ttl and tip >= 0 else placed

    return marks


FIXED: dict[str, Rule] = {
    "litellm_5m": rule(MINUTES, MINUTES),
    "litellm_1h": rule(HOUR, HOUR),
    "system1h_tail5m": rule(HOUR, MINUTES),
    "anthropic_automatic": rule(None, MINUTES),
    "system_1h": rule(HOUR, None),
    "system_5m": rule(MINUTES, None),
    "none": rule(None, None),
}


def cost_of(arrivals: Iterable[Arrival] | Sequence[Arrival], marks: Rule, read: float = READ) -> float:
    provider = Provider(read)
    for arrival in arrivals:
        provider.bill(arrival, marks(arrival))
    return provider.ratio
