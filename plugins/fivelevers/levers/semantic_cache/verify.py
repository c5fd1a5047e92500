"""How much is judged: judging costs, and what calibration promises holds for the share that it was told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Of one route: look-ups, and calls of the judge that were made for them, audits too."""

    requests: int = 0
    judged: int = 0

    def after(self, *, judged: bool) -> Spent:
        """One look-up later."""
        return Spent(self.requests + 1, self.judged + judged)


@dataclass(frozen=True, slots=True)
class Budget:
    """``max_share``: of look-ups that may be judged, audits included; ``audited``: of hits that are."""

    max_share: float
    audited: float

    def allows(self, spent: Spent, *, audit: bool) -> bool:
        """Whether a call may be made for the next look-up. Audits come first: misses leave them their part."""
        kept = 0.0 if audit else self.audited * self.max_share
        return spent.judged + 1 <= (self.max_share - kept) * (spent.requests + 1)
