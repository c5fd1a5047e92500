"""The measured saving of a route: what its sessions cost per request, beside those of the holdout. Pure.

The modelled saving prices each request anew without us; this one believes no model. It is (cost per request in the
holdout - outside) times the requests outside, all levers together, with a 95 % interval whose unit is the session: each
cost per request is a ratio of sums, so its variance is that of cost - ratio x requests over sessions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

from fivelevers.metering.cost import rounded
from fivelevers.metering.interval import MIN_SESSIONS, Reason, Withheld, Z
from fivelevers.metering.report import Cluster, Totals


@dataclass(frozen=True, slots=True)
class Saving:
    """USD, with its 95 % interval; below 0 the levers cost more than they save."""

    usd: Decimal
    low_usd: Decimal
    high_usd: Decimal

    def holds(self, usd: Decimal) -> bool:
        return self.low_usd <= usd <= self.high_usd


@dataclass(frozen=True, slots=True)
class Measured:
    """One route: sums of the sessions in the holdout and outside of it, and what these saved by comparison."""

    route: str
    saving: Saving | Withheld
    outside: Totals
    holdout: Totals

    @property
    def modelled_usd(self) -> Decimal:
        """What the same sessions are said to have saved."""
        return self.outside.saved

    @property
    def disagrees(self) -> bool:
        """Whether the modelled saving is outside the measured one's interval."""
        return isinstance(self.saving, Saving) and not self.saving.holds(self.modelled_usd)

    @property
    def forgone_usd(self) -> Decimal:
        """What the holdout had saved outside of it: as measured per request, or as modelled where that is withheld."""
        if isinstance(self.saving, Saving):
            return rounded(self.saving.usd * self.holdout.requests / self.outside.requests)
        others = self.outside.cost_without_us
        return rounded(self.modelled_usd / others * self.holdout.cost_without_us) if others else Decimal(0)


def together(measured: Iterable[Measured]) -> Saving | None:
    """Of all routes with a measured saving, whose errors are independent; None where there is none."""
    found = [one.saving for one in measured if isinstance(one.saving, Saving)]
    if not found:
        return None
    usd = sum((one.usd for one in found), Decimal(0))
    half = Decimal(sqrt(sum(float(one.high_usd - one.usd) ** 2 for one in found)))
    return Saving(usd, rounded(usd - half), rounded(usd + half))


def measure(clusters: Iterable[Cluster]) -> list[Measured]:
    """By route, those with a holdout or with a lever that saved. ``clusters``: grouped by route."""
    found: defaultdict[tuple[str, bool], dict[str, Totals]] = defaultdict(dict)
    for one in clusters:  # a session is one, on however many days
        sessions = found[one.group, one.holdout]
        sessions[one.session] = sessions.get(one.session, Totals()) + one.totals
    routes = sorted({route for route, _ in found})
    told = [_measured(route, *(list(found[route, held].values()) for held in (False, True))) for route in routes]
    return [one for one in told if one.holdout.requests or one.modelled_usd]


def _measured(route: str, outside: Sequence[Totals], holdout: Sequence[Totals]) -> Measured:
    out, held = sum(outside, Totals()), sum(holdout, Totals())
    withheld = _too_little(outside, holdout, out.unpriced + held.unpriced)
    return Measured(route, withheld or _saving(outside, holdout, out, held), out, held)


def _too_little(outside: Sequence[Totals], holdout: Sequence[Totals], unpriced: int) -> Withheld | None:
    if unpriced:
        return Withheld(Reason.UNPRICED, f"{unpriced} attempts have no price; state it in the price override file")
    for arm, sessions in (("in the holdout", holdout), ("outside the holdout", outside)):
        count = sum(1 for totals in sessions if totals.requests)
        if count < MIN_SESSIONS:
            return Withheld(Reason.FEW_SESSIONS, f"{count} sessions {arm}; {MIN_SESSIONS} needed")
    return None


def _saving(outside: Sequence[Totals], holdout: Sequence[Totals], out: Totals, held: Totals) -> Saving:
    difference = held.cost / held.requests - out.cost / out.requests
    width = Z * sqrt(_variance(outside, out) + _variance(holdout, held))
    usd, half = difference * out.requests, Decimal(width) * out.requests
    return Saving(rounded(usd), rounded(usd - half), rounded(usd + half))


def _variance(sessions: Sequence[Totals], sums: Totals) -> float:
    """Of the cost per request; with few sessions as wide as Student's t (interval.py)."""
    n, ratio = len(sessions), sums.cost / sums.requests
    squares = sum(float(one.cost - ratio * one.requests) ** 2 for one in sessions)
    return squares / sums.requests**2 * n / (n - 3)
