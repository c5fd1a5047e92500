"""Whether what was certified still holds on live traffic: evidence that may be read after every request, for ever.

Of a watched request a bounded value is noted: the loss of a pair (-1, 0, 1), or whether it fell into a class of the
route's mix (0, 1). Someone who starts with one dollar and bets at fixed stakes that the mean is above the bound can not
expect to gain while it is not; so that his money ever reaches 1 / alpha has probability alpha at most (Ville 1939). The
mean over many stakes is such a bet as well (Waudby-Smith and Ramdas 2024, Journal of the Royal Statistical Society B
86(1): 1-27). It is a function of counts alone: replicas add theirs in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from fivelevers.levers.routing.bound import Pairs, share_upper

ALPHA: Final = 0.05
CLASSES: Final = 10
_STAKES: Final = np.geomspace(0.002, 0.98, 40)  # of what can be lost at once


def log_evidence(values: Sequence[float], counts: Sequence[int], bound: float) -> float:
    """ln of the money: that the mean of ``values``, each seen as often as ``counts`` says, is above ``bound``."""
    distance = np.array(values, float) - bound
    stakes = _STAKES / -distance.min()
    gains = np.log1p(np.outer(stakes, distance)) @ np.array(counts, float)
    return float(np.logaddexp.reduce(gains) - np.log(len(stakes)))


def loses(pairs: Pairs, epsilon: float, alpha: float = ALPHA) -> bool:
    """Whether live pairs show a loss above ``epsilon``: retreat. One that keeps it is ever told so with probability
    ``alpha`` at most.
    """
    same = pairs.tested - pairs.lost - pairs.won
    return log_evidence((-1, 0, 1), (pairs.won, same, pairs.lost), epsilon) >= -log(alpha)


@dataclass(frozen=True, slots=True)
class Mix:
    """The classes of a route's prompts when it was certified: by the threshold at which a prompt leaves the strong
    model, cut where a tenth of the calibration's prompts lie. ``most`` is an upper bound on the share of each.
    """

    cuts: tuple[float, ...]
    most: tuple[float, ...]

    @classmethod
    def of(cls, points: Sequence[float], alpha: float = ALPHA) -> Mix:
        """``points``: of the prompts that were calibrated on, one each; NaN where the route is unknown, not counted."""
        listed = np.sort(np.array([point for point in points if point == point], float))  # noqa: PLR0124  NaN is not
        inner = listed[len(listed) * np.arange(1, CLASSES) // CLASSES] if listed.size else listed
        cuts = tuple(float(cut) for cut in np.unique(inner[np.isfinite(inner)]))
        counts = np.bincount(np.searchsorted(cuts, listed, side="right"), minlength=len(cuts) + 1)
        most = tuple(share_upper(int(count), listed.size, alpha / 2 / len(counts)) for count in counts)
        return cls(cuts, most)

    def class_of(self, point: float) -> int:
        return int(np.searchsorted(self.cuts, point, side="right"))

    def shifted(self, counts: Sequence[int], alpha: float = ALPHA) -> int | None:
        """The class that has grown beyond what calibration allows, if live counts show one."""
        total = sum(counts)
        for at, (count, most) in enumerate(zip(counts, self.most, strict=True)):
            if most < 1 and log_evidence((0, 1), (total - count, count), most) >= log(2 * len(self.most) / alpha):
                return at
        return None
