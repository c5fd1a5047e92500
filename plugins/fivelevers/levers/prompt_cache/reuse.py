"""How likely a prefix is seen again, and how soon: reuse hazards by class, right-censored, learned online.

A visit of a prefix enters its class; the next visit of the same prefix resolves it with a gap. Visits that nothing has
resolved yet are not failures: they count as exposed only in the gaps that they have outlived (Kaplan and Meier 1958).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

EDGES_S = (60, 300, 900, 1800, 3600, 7200)


class Hazards:
    """The reuse statistics of one route, as sums that replicas add to in any order.

    ``counts`` maps a field to a sum: what ``Decision.counts`` of every replica adds up to.
    """

    def __init__(self, counts: Mapping[str, float] | None = None) -> None:
        self._counts: dict[str, float] = dict(counts or {})

    @property
    def counts(self) -> Mapping[str, float]:
        return self._counts

    def add(self, counts: Mapping[str, float]) -> None:
        """Take increments in: this process's own at once, so that it learns without a store too."""
        for field, count in counts.items():
            self._counts[field] = self._counts.get(field, 0.0) + count

    def replace(self, counts: Mapping[str, float]) -> None:
        """The fleet's sums, as the store holds them now, with whatever this process has not flushed yet."""
        self._counts = dict(counts)

    def reused_within(self, class_id: int, within_s: float, now: float) -> float:
        """Probability that a prefix of this class is seen again within so many seconds."""
        return 0.5


def expired(fields: Iterable[str], now: float) -> list[str]:
    """The fields that nobody needs any more: what keeps the store's mapping bounded."""
    return []
