"""Lever 2's semantic hits, and what those that were wrong wasted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from fivelevers.metering.cost import rounded


@dataclass(frozen=True, slots=True)
class Hits:
    """Of one group (a team, a route, ...) on one route: hits that were ``served`` and the USD ``saved`` by them."""

    group: str
    route: str
    served: int
    saved: Decimal


def wasted(hits: Iterable[Hits], wrong: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """USD by group: what is called saved, in the share of a route's hits that its audits found ``wrong``. An estimate;
    a wrong answer is worth nothing, so what it spared is no saving."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in hits:
        sums[one.group] += rounded(max(one.saved, Decimal(0)) * wrong.get(one.route, Decimal(0)))
    return dict(sums)
