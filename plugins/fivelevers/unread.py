"""Cache writes that nobody reads: known when an entry's life has ended and no read has renewed it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fivelevers.levers.prompt_cache.node import Node
from fivelevers.prefix_caching import Considered
from fivelevers.prices import Kind, Price, Usage

SWEEP_EVERY_S = 10.0
WRITES_AT_MOST = 10_000  # that wait for the end of their life, by TTL; the oldest are forgotten, and then count as read
_LATE_S = 5.0  # clocks of replicas, and what is written behind
_RENEWED_S = 1.0  # by more than rounding


@dataclass(frozen=True, slots=True)
class Write:
    """One entry that a request paid for. ``premium_usd``: what it cost above reading these tokens uncached."""

    ends_at: float
    scope: bytes
    node: bytes
    route: str
    model: str
    tokens: int
    premium_usd: float

    def was_read(self, state: Node | None) -> bool:
        entry = state.entry if state else None
        return entry is not None and entry.ends_at > self.ends_at + _RENEWED_S


class Writes:
    """The writes of one process whose fate is open, by the TTL that they were written for. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Write]] = {}
        self._swept_at = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, considered: Considered, usage: Usage, price: Price) -> None:
        """The writes that the provider billed for this request, at the places where it was asked to make them."""
        decision, positions = considered.decision, considered.positions
        before = positions[decision.read_at].tokens if decision.read_at is not None else 0
        billed = dict(zip(considered.rules.ttls_s, (usage.cache_write_5m, usage.cache_write_1h), strict=False))
        for at in decision.written_at:
            node = decision.nodes.get(positions[at].node)
            believed, before = positions[at].tokens - before, positions[at].tokens
            entry = node.entry if node else None
            if entry is None or not decision.expected.written.get(entry.ttl_s):
                continue
            tokens = round(believed / decision.expected.written[entry.ttl_s] * billed.get(entry.ttl_s, 0))
            premium_usd = tokens * _premium(entry.ttl_s, considered, usage, price)
            waiting = self._waiting.setdefault(entry.ttl_s, deque(maxlen=WRITES_AT_MOST))
            waiting.append(
                Write(
                    entry.ends_at,
                    considered.scope,
                    positions[at].node,
                    considered.route,
                    considered.model,
                    tokens,
                    premium_usd,
                )
            )

    def ended(self, now: float) -> list[Write]:
        """Those whose life is over, handed out once; nothing more often than every ``SWEEP_EVERY_S``."""
        if now < self._swept_at + SWEEP_EVERY_S:
            return []
        self._swept_at = now
        return [write for waiting in self._waiting.values() for write in _ended(waiting, now - _LATE_S)]


def unread(writes: Iterable[Write], states: Mapping[bytes, Node]) -> list[Write]:
    """``states``: what is known of their nodes now; a node that is gone was not seen again."""
    return [write for write in writes if not write.was_read(states.get(write.node))]


def _ended(waiting: deque[Write], now: float) -> Iterable[Write]:
    while waiting and waiting[0].ends_at < now:
        yield waiting.popleft()


def _premium(ttl_s: int, considered: Considered, usage: Usage, price: Price) -> float:
    """USD for each token beyond plain input; 0 where a rate is unknown."""
    kinds = dict(zip(considered.rules.ttls_s, (Kind.CACHE_WRITE_5M, Kind.CACHE_WRITE_1H), strict=False))
    rate = price.rate(kinds[ttl_s], prompt_tokens=usage.prompt) if ttl_s in kinds else None
    plain = price.rate(Kind.INPUT, prompt_tokens=usage.prompt)
    return 0.0 if rate is None or plain is None else float(rate - plain)
