"""Lever 2's semantic hits, and what those that were wrong wasted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from fivelevers.metering.cost import rounded


@dataclass(frozen=True, slots=True)
class Hits:
    """Of one group (a team, a route, ...) on one route: hits that were ``served``, and the USD that they are said to
    have saved: those whose answer ``failed``, and those of which nobody said how it was (``silent``).
    """

    group: str
    route: str
    served: int
    failed: Decimal
    silent: Decimal


def wasted(hits: Iterable[Hits], wrong: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """USD by group: what is called saved by hits that failed, and by those of which nobody said anything in the share
    of the route's hits that its audits found ``wrong``, an estimate. A wrong answer is worth nothing, so what it spared
    is no saving."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in hits:
        failed, silent = (max(usd, Decimal(0)) for usd in (one.failed, one.silent))
        sums[one.group] += failed + rounded(silent * wrong.get(one.route, Decimal(0)))
    return dict(sums)
