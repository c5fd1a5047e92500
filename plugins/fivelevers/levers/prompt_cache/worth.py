"""What an entry is worth, per token of prefix, in uncached prompt tokens: the break-even of a write.

Let p be the probability that the prefix is seen again within the TTL, r the price of a read and w that of a write. A
live entry saves at the next visit what that visit would pay without it: 1 - r, or w - r if it would write the entry
itself. Which of the two follows from p: a prefix worth a write now is worth one then. Hence

    short:  p * min(w - r, (1 - r) / (1 - p))    against a premium of w - 1:  write iff p > (w - 1) / (w - r).

The long TTL saves in gaps q = P(long) - P(short) too. It goes on saving as long as the prefix comes back, unless the
conversation goes on beyond it: then the next turn can buy the long TTL for the few tokens that it adds, since an entry
holds its whole prefix. With s the share of returns that do not go on,

    long:   q * min(c / (1 - s * P(long)), (W - r) / (1 - s * P(short)))    on top, against W - w more.

For s = 1 and r = 0.1 that is the rule "1h iff P(1h) > 0.395 + 0.605 P(5m)".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fivelevers.levers.prompt_cache.reuse import EDGES_S
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules


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


def worth(curve: Sequence[float], tip: Sequence[float], terms: Terms) -> tuple[float, float]:
    """(of an entry of the short TTL, what the long one adds). ``tip``: the curve of the request's end."""
    p = within(curve, terms.short)
    saved = min(1.0 + terms.short_premium - terms.read, (1.0 - terms.read) / max(1.0 - p, 1e-9))
    if terms.long is None:
        return p * saved, 0.0
    p_long = within(curve, terms.long)
    parted = 1.0 - min(1.0, within(tip, terms.long) / p_long) if p_long > 0.0 else 0.0
    again = saved / max(1.0 - parted * p_long, 1e-9)
    bought = (1.0 + terms.long_premium - terms.read) / max(1.0 - parted * p, 1e-9)
    return p * saved, (p_long - p) * min(again, bought)
