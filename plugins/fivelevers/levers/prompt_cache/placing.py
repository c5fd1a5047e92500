"""Which candidates to mark: the set that is worth most, within what the provider allows.

Entries are taken in the order of the prompt. One that ends at ``tokens`` adds what lies between it and the one before,
valued at its own probability of being seen again: a later request reads up to the deepest entry that it still shares.
Candidates are few, so the best of all sets is found, by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fivelevers.levers.prompt_cache.worth import Terms


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate, and its worth per token: ``short`` of an entry, ``long`` what the long TTL adds.

    ``live_s``: TTL of the entry that it has already; ``mark_s``: of the client's own mark, which stays.
    """

    at: int
    tokens: int
    block: int
    short: float
    long: float
    live_s: int | None = None
    mark_s: int | None = None
    markable: bool = True


class _State(NamedTuple):
    """What of a set matters to the offers after it.

    ``ceiling_s``: no later mark may outlive this one. ``tokens``: where its last entry ends; ``long_tokens``: its last
    one of the long TTL. ``waits``: its read needs a mark that looks back to it.
    """

    used: int
    ceiling_s: int
    tokens: int
    long_tokens: int
    waits: bool


_Mark = tuple[int, int]  # index of the position, TTL in seconds


def best_marks(offers: Sequence[Offer], terms: Terms, max_marks: int, look_back: int | None) -> dict[int, int]:
    """TTL in seconds by index of position, the client's marks included.

    ``max_marks`` counts the client's; ``look_back``: blocks over which a mark finds an entry, None for all.
    """
    own = max_marks - sum(offer.mark_s is not None for offer in offers)
    board = _Board(terms, own, look_back, next((o for o in reversed(offers) if o.live_s is not None), None))
    states: dict[_State, tuple[float, tuple[_Mark, ...]]] = {_State(0, 1 << 30, 0, 0, waits=False): (0.0, ())}
    for place, offer in enumerate(offers):
        floor_s = max((later.mark_s or 0 for later in offers[place + 1 :]), default=0)
        after: dict[_State, tuple[float, tuple[_Mark, ...]]] = {}
        for state, (value, marks) in states.items():
            for then, gain, mark in board.moves(state, offer, floor_s):
                if then not in after or after[then][0] < value + gain:
                    after[then] = value + gain, (*marks, mark) if mark else marks
        states = after
    ended = [best for state, best in states.items() if not state.waits]
    marks = max(ended, key=lambda best: best[0])[1] if ended else ()
    return _in_order(dict(marks), {o.at: o.mark_s for o in offers if o.mark_s is not None})


@dataclass(frozen=True, slots=True)
class _Board:
    """``own``: marks that are left for us. ``read``: the offer whose entry the request reads."""

    terms: Terms
    own: int
    look_back: int | None
    read: Offer | None

    def moves(self, state: _State, offer: Offer, floor_s: int) -> Iterator[tuple[_State, float, _Mark | None]]:
        """What can be done with an offer: the state after it, what that gains, and the mark, if any."""
        if offer.mark_s is None:
            if offer is self.read:  # read through a later mark that looks back to it
                yield *self._ends(state, offer, offer.live_s, waits=True), None
            else:
                yield state, 0.0, None
            if not offer.markable or state.used >= self.own:
                return
        if state.waits and self.read and self.look_back and offer.block - self.read.block >= self.look_back:
            return
        if offer.tokens > self.read_tokens:
            for ttl_s in self._ttls(state.ceiling_s, floor_s) if offer.mark_s is None else (offer.mark_s,):
                then, gain = self._ends(state, offer, ttl_s)
                premium = self.terms.premium(ttl_s) * (offer.tokens - max(state.tokens, self.read_tokens))
                yield then._replace(ceiling_s=ttl_s), gain - premium, (offer.at, ttl_s)
        elif offer.live_s is not None:
            yield *self._ends(state, offer, offer.live_s), (offer.at, offer.live_s)
        elif offer.mark_s is not None:  # it finds what is there already, and writes nothing
            yield state._replace(ceiling_s=min(state.ceiling_s, offer.mark_s)), 0.0, (offer.at, offer.mark_s)

    @property
    def read_tokens(self) -> int:
        return self.read.tokens if self.read else 0

    def _ttls(self, ceiling_s: int, floor_s: int) -> list[int]:
        ttls = (self.terms.long, self.terms.short)
        return [ttl_s for ttl_s in ttls if ttl_s is not None and floor_s <= ttl_s <= ceiling_s]

    def _ends(self, state: _State, offer: Offer, ttl_s: int | None, *, waits: bool = False) -> tuple[_State, float]:
        """The state after an entry that ends here, and what the entry is worth."""
        used, ceiling_s, tokens, long_tokens, _ = state
        worth = (offer.tokens - tokens) * offer.short
        if ttl_s is not None and ttl_s == self.terms.long:
            worth += (offer.tokens - long_tokens) * offer.long
            long_tokens = offer.tokens
        used += not waits and offer.mark_s is None
        return _State(used, ceiling_s, offer.tokens, long_tokens, waits), worth


def _in_order(marks: dict[int, int], client: dict[int, int]) -> dict[int, int]:
    """A mark that only renews an entry may say any TTL: it says one that keeps longer ones before shorter ones."""
    floor_s, ordered = 0, {}
    for at in sorted(marks | client, reverse=True):
        ceiling_s = min((ttl_s for place, ttl_s in client.items() if place < at), default=1 << 30)
        floor_s = client[at] if at in client else max(floor_s, min(marks[at], ceiling_s))
        ordered[at] = floor_s
    return dict(sorted(ordered.items()))
