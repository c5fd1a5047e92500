"""Lever 2's semantic hits of one route, and how many of them were wrong. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from fivelevers.metering.cost import rounded


@dataclass(frozen=True, slots=True)
class Hits:
    """Of one group (a team, a route, ...) on one route: hits that were ``served`` and the USD ``saved`` by them;
    hits that were ``judged`` against a fresh answer, and how many of these were ``wrong``."""

    group: str
    route: str
    served: int
    saved: Decimal
    judged: int
    wrong: int


def by_route(hits: Iterable[Hits]) -> list[Hits]:
    """The sums of each route, those with most hits first."""
    sums: dict[str, Hits] = {}
    for one in hits:
        so_far = sums.get(one.route, Hits(one.route, one.route, 0, Decimal(0), 0, 0))
        counts = (so_far.judged + one.judged, so_far.wrong + one.wrong)
        sums[one.route] = Hits(one.route, one.route, so_far.served + one.served, so_far.saved + one.saved, *counts)
    return sorted(sums.values(), key=lambda one: (-one.served - one.judged, one.route))


def wasted(hits: Iterable[Hits]) -> dict[str, Decimal]:
    """USD by group: what is called saved by hits of which the audits say that so large a share was wrong. An estimate;
    a wrong answer is worth nothing, so what it spared is no saving."""
    some = list(hits)
    shares = {one.route: Decimal(one.wrong) / one.judged for one in by_route(some) if one.judged}
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in some:
        sums[one.group] += rounded(max(one.saved, Decimal(0)) * shares.get(one.route, Decimal(0)))
    return dict(sums)
