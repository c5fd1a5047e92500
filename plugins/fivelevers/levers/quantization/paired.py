"""Statistics of pairs: the same item answered by the original and by the quantised model.

The bound on the loss is Tango's score bound (levers/routing/bound.py). It is a little too narrow where next to nothing
was lost, so it is never below what Clopper and Pearson's exact bound allows the lost share, less the won share that was
seen. Enumerated over 100 to 3,000 items and 2 to 20 % discordance, a loss of exactly the margin passes in 5.21 % of
cases at most, for an error of 5 % (tests/unit/levers/quantization/test_paired.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log, log1p, sqrt

from fivelevers.levers.routing.bound import Pairs, score_upper, share_upper

POWER = 0.85  # of the bound alone; with the gate's other rules, which now and then stop an equal candidate too, 0.8


def loss_upper(pairs: Pairs, error: float) -> float:
    """One-sided bound on the true loss, in successes per item; 1.0 without pairs."""
    if not pairs.tested:
        return 1.0
    exact = share_upper(pairs.lost, pairs.tested, error) - pairs.won / pairs.tested
    return max(score_upper(pairs, error), exact)


def loss_lower(pairs: Pairs, error: float) -> float:
    return -loss_upper(Pairs(pairs.tested, pairs.won, pairs.lost), error)


def worse_p(pairs: Pairs) -> float:
    """Exact McNemar test, one-sided: how likely so many of the discordant pairs are lost where none is worse."""
    from scipy.special import bdtrc

    discordant = pairs.lost + pairs.won
    return float(bdtrc(pairs.lost - 1, discordant, 0.5)) if pairs.lost else 1.0


def differs_p(pairs: Pairs) -> float:
    """Exact McNemar test, two-sided."""
    turned = Pairs(pairs.tested, pairs.won, pairs.lost)
    return min(1.0, 2 * min(worse_p(pairs), worse_p(turned)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of Holm (1979): where all are equal, one is below the error in that share of cases at most."""
    adjusted, least = {}, 0.0
    for at, (name, p) in enumerate(sorted(p_values.items(), key=lambda one: one[1])):
        least = max(least, min(1.0, (len(p_values) - at) * p))
        adjusted[name] = least
    return adjusted


@dataclass(frozen=True, slots=True)
class Stratum:
    """``p``: of the exact McNemar test that it is worse, adjusted for the number of strata."""

    name: str
    pairs: Pairs
    p: float


def strata(pairs: Mapping[str, Pairs]) -> tuple[Stratum, ...]:
    adjusted = holm({name: worse_p(found) for name, found in pairs.items()})
    return tuple(Stratum(name, found, adjusted[name]) for name, found in pairs.items())


def needed(discordance: float, margin: float, error: float) -> int:
    """Items with which a candidate that loses nothing passes in 80 % of cases.

    (z(error) sd0 + z(1 - power) sd)^2 / margin^2, sd0 under a loss of the margin (Tango's estimate) and sd under none.
    At an error of 5 % it nears (1.645 + 1.036)^2 x discordance / margin^2 where many pairs differ; where few do, that
    would be too few.
    """
    from scipy.special import ndtri

    half = discordance / 2
    b = 2 * margin - discordance
    won = (sqrt(b * b + 8 * half * margin * (1 - margin)) - b) / 4
    spread = float(ndtri(1 - error)) * sqrt(2 * won + margin * (1 - margin))
    spread += float(ndtri(POWER)) * sqrt(discordance)
    return max(ceil(spread**2 / margin**2), ceil(log(error) / log1p(-margin)))
