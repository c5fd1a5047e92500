"""How many of all hits can be wrong, by those that were audited: exact for a sample, or valid at every look.

``upper`` is Clopper and Pearson's (1934), for a sample whose size was set beforehand. ``Rolling`` may be read after
every audit, for ever, and still errs with probability ``ALPHA`` at most: mixtures of likelihood ratios are
supermartingales under the hypothesis (Ville 1939; Robbins 1970; the beta mixture for Bernoulli trials: Howard, Ramdas,
McAuliffe and Sekhon 2021, Annals of Statistics 49(2)).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, log
from typing import Final

ALPHA: Final = 0.05
_PRIOR: Final = 1.0, 40.0
"""Of the beta mixture: where wrong rates are expected, around 2.5 %. Any choice is valid; this one is sharp there."""
_STEPS: Final = 50


def upper(wrong: int, audited: int, alpha: float = ALPHA) -> float:
    """One-sided upper bound on the share of wrong ones, at confidence 1 - alpha."""
    from scipy.special import betaincinv  # of the extra "semantic": nobody needs it before this lever is used

    return 1.0 if wrong >= audited else float(betaincinv(wrong + 1, audited - wrong, 1 - alpha))


def needed(wrong: int, max_wrong: float, alpha: float = ALPHA) -> int:
    """How many audited hits keep ``upper`` within ``max_wrong`` when that many are wrong: 99, 157, 208 at 3 %."""
    return _least(lambda audited: upper(wrong, audited, alpha) <= max_wrong)


def needed_at(rate: float, max_wrong: float, alpha: float = ALPHA) -> int | None:
    """How many audited hits prove ``max_wrong`` if that share of them is wrong; None: no number does."""
    if rate >= max_wrong:
        return None
    return _least(lambda audited: upper(ceil(rate * audited), audited, alpha) <= max_wrong)


def _least(enough: Callable[[int], bool]) -> int:
    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Rolling:
    """Sums over the audits of a period: replicas add theirs in any order."""

    audited: int = 0
    wrong: int = 0

    def upper(self, alpha: float = ALPHA) -> float:
        """Above the true rate at all times, with probability 1 - alpha. 1.0 without audits."""
        return self._farthest(1.0, lambda rate: self._log_evidence(rate, below=True) < -log(alpha))

    def lower(self, alpha: float = ALPHA) -> float:
        """Below the true rate at all times, with probability 1 - alpha."""
        return self._farthest(0.0, lambda rate: self._log_evidence(rate, below=False) < -log(alpha))

    def breached(self, max_wrong: float, alpha: float = ALPHA) -> bool:
        """Whether the audits show more than ``max_wrong``: retreat. A route that keeps it is ever told so with
        probability alpha at most, however often it asks."""
        return self._log_evidence(max_wrong, below=False) >= -log(alpha)

    def kept(self, max_wrong: float, alpha: float = ALPHA) -> bool:
        """Whether the audits show that it is kept: the promise may be printed."""
        return self.upper(alpha) <= max_wrong

    def _farthest(self, edge: float, possible: Callable[[float], bool]) -> float:
        """From the observed rate towards ``edge``, the last rate that the audits do not speak against."""
        inside = self.wrong / self.audited if self.audited else 0.5
        if self.audited == 0 or inside == edge:
            return edge
        for _ in range(_STEPS):
            middle = (inside + edge) / 2
            inside, edge = (middle, edge) if possible(middle) else (inside, middle)
        return edge

    def _log_evidence(self, rate: float, *, below: bool) -> float:
        """ln of the evidence that the true rate is below (above) ``rate``: the mean likelihood of the rates on that
        side, by the beta prior cut off there, over the likelihood of ``rate`` itself."""
        from scipy.special import betaln

        if not 0 < rate < 1:
            return inf
        a, b = _PRIOR
        right = self.audited - self.wrong
        mixed = betaln(self.wrong + a, right + b) + _log_mass(self.wrong + a, right + b, rate, below=below)
        cut = betaln(a, b) + _log_mass(a, b, rate, below=below)
        if cut == -inf:  # no prior mass is left on that side
            return 0.0
        return float(mixed - cut - self.wrong * log(rate) - right * log(1 - rate))


def _log_mass(a: float, b: float, rate: float, *, below: bool) -> float:
    """ln of the beta distribution's mass on one side of ``rate``; -inf where it is too small to be told from none."""
    from scipy.special import betainc, betaincc

    mass = betainc(a, b, rate) if below else betaincc(a, b, rate)
    return log(mass) if mass > 0 else -inf
