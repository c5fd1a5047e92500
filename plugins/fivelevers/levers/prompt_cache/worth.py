"""What an entry is worth, per token of prefix, in uncached prompt tokens: the break-even of a write.

Let p be the probability that the prefix is seen again within the TTL, r the price of a read and w that of a write. A
live entry saves at the next visit what that visit would pay without it: 1 - r, or w - r if it would write the entry
itself. Which of the two follows from p: a prefix worth a write now is worth one then. Hence

    short:  p * c,  c = min(w - r, (1 - r) / (1 - p)),    against a premium of w - 1:  write iff p > (w - 1) / (w - r).

The long TTL, at a price of W, saves in gaps of probability q = P(long) - P(short) too. In a conversation that goes on,
the next turn can buy it for the few tokens that it adds, since an entry holds its whole prefix: so it is worth q * c,
for this gap alone. Where requests part, nobody buys it later, and it goes on saving as long as the prefix comes back:

    long:   q * min(c / (1 - P(long)), (W - r) / (1 - P(short)))    on top, against W - w more.

For r = 0.1 that is the rule "1h iff P(1h) > 0.395 + 0.605 P(5m)". Of the gaps of a place, those count as parting that
are not gaps of the next place after it. The class of a visit tells of the gap that follows; what comes after that is
judged by the mean of its role.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fivelevers.levers.prompt_cache.reuse import EDGES_S
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules

_NEVER = 1e-9

Pair = tuple[Sequence[float], Sequence[float] | None]
"""The curves of a place and of the next one after it; None: there is none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The TTLs that are offered at a price: ``short``, and ``long`` or None; what writing costs beyond not writing."""

    short: int
    long: int | None
    read: float
    short_premium: float
    long_premium: float

    def closest(self, ttl_s: int) -> int:
        """The TTL on offer that renews an entry of any."""
        return self.long if self.long is not None and ttl_s >= self.long else self.short

    def premium(self, ttl_s: int) -> float:
        return self.long_premium if ttl_s == self.long else self.short_premium


def terms_of(prices: CachePrices, rules: CacheRules) -> Terms | None:
    """None where no TTL has a price, or where reading costs as much as not caching."""
    offered = [ttl_s for ttl_s in rules.ttls_s if ttl_s in prices.write]
    if not offered or prices.read >= 1.0:
        return None
    short, long = offered[0], offered[-1] if len(offered) > 1 else None
    long_premium = prices.write[long] - 1.0 if long else 0.0
    return Terms(short, long, prices.read, prices.write[short] - 1.0, long_premium)


def within(curve: Sequence[float], ttl_s: int) -> float:
    """Probability of being seen again within a TTL; beyond what is watched, within what is."""
    at = bisect_right(EDGES_S, ttl_s) - 1
    return curve[at] if at >= 0 else 0.0


def worth_short(curve: Sequence[float], terms: Terms) -> float:
    """Of an entry of the short TTL."""
    p = within(curve, terms.short)
    return p * _saved(p, terms)


def worth_long(now: Pair, mean: Pair, terms: Terms) -> float:
    """What the long TTL adds where requests part. ``now``: the curves until the next visit; ``mean``: after it."""
    curve, deeper = now
    if terms.long is None:
        return 0.0
    saved, p_long = _saved(within(curve, terms.short), terms), within(curve, terms.long)
    if deeper is None:
        return _between(curve, terms) * saved
    later, later_long = within(mean[0], terms.short), within(mean[0], terms.long)
    again = _saved(later, terms) / max(1.0 - later_long, _NEVER)
    bought = (1.0 + terms.long_premium - terms.read) / max(1.0 - later, _NEVER)
    return _parting(now, terms) * saved + p_long * _parting(mean, terms) * min(again, bought)


def _parting(pair: Pair, terms: Terms) -> float:
    curve, deeper = pair
    return max(_between(curve, terms) - _between(deeper, terms), 0.0) if deeper else 0.0


def _between(curve: Sequence[float], terms: Terms) -> float:
    """Probability of a gap that the long TTL outlives and the short one does not."""
    return within(curve, terms.long or terms.short) - within(curve, terms.short)


def _saved(p: float, terms: Terms) -> float:
    return min(1.0 + terms.short_premium - terms.read, (1.0 - terms.read) / max(1.0 - p, _NEVER))
