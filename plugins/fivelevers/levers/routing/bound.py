"""How much worse a routed answer can be, by pairs that both models answered: exact, or by the score test.

A pair is lost where the strong model alone was right, won where the chosen one alone was, and else equal. The loss is
the difference of two shares of the same pairs. ``Bound.EXACT``: the bound of Clopper and Pearson (1934) on each of the
two at half the error, which holds for any number of pairs. ``Bound.SCORE``: Tango's (1998, Statistics in Medicine 17:
891-908), narrower, and right for many pairs only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt


class Bound(StrEnum):
    EXACT = "exact"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Of ``tested`` pairs, how many were lost and how many won."""

    tested: int
    lost: int
    won: int

    @property
    def loss(self) -> float:
        """In successes per answer; below 0 where the chosen model is right more often."""
        return (self.lost - self.won) / self.tested if self.tested else 0.0


def upper(pairs: Pairs, error: float, bound: Bound) -> float:
    """One-sided bound that the true loss exceeds with probability ``error`` at most; 1.0 without pairs."""
    if not pairs.tested:
        return 1.0
    if bound is Bound.SCORE:
        return score_upper(pairs, error)
    return share_upper(pairs.lost, pairs.tested, error / 2) - share_lower(pairs.won, pairs.tested, error / 2)


def interval(pairs: Pairs, error: float = 0.05) -> tuple[float, float]:
    """Two-sided, by the score test."""
    turned = Pairs(pairs.tested, pairs.won, pairs.lost)
    return -upper(turned, error / 2, Bound.SCORE), upper(pairs, error / 2, Bound.SCORE)


def share_upper(count: int, of: int, error: float) -> float:
    """Clopper and Pearson's one-sided upper bound on a share."""
    from scipy.special import betaincinv  # of the extra "routing": nobody needs it to route

    return 1.0 if count >= of else float(betaincinv(count + 1, of - count, 1 - error))


def share_lower(count: int, of: int, error: float) -> float:
    return 1 - share_upper(of - count, of, error)


def score_upper(pairs: Pairs, error: float) -> float:
    """The largest difference that Tango's score test does not refuse."""
    from scipy.special import ndtri

    z = float(ndtri(1 - error))
    low, high = pairs.loss, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if _score(pairs, middle) > -z else (low, middle)
    return high


def _score(pairs: Pairs, difference: float) -> float:
    """The standardised distance of the seen difference from ``difference``, with its variance under that hypothesis."""
    n, lost, won = pairs.tested, pairs.lost, pairs.won
    b = (2 * n - lost + won) * difference - lost - won
    c = -won * difference * (1 - difference)
    won_share = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * won_share + difference * (1 - difference))
    distance = lost - won - n * difference
    return distance / sqrt(variance) if variance > 0 else -inf if distance < 0 else inf


def needed(lost: float, won: float, epsilon: float, error: float, bound: Bound, *, most: int) -> int | None:
    """How many pairs prove a loss of at most ``epsilon`` if these shares are lost and won; None: not even ``most``."""

    def enough(tested: int) -> bool:
        pairs = Pairs(tested, min(tested, round(lost * tested)), round(won * tested))
        return upper(pairs, error, bound) <= epsilon

    low, high = 0, most
    if lost - won >= epsilon or not enough(most):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
