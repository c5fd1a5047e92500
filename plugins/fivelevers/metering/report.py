"""The report: for each group what it cost, what it would have cost, and what a successful answer cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from fivelevers.metering.attribution import Waste, WasteKind
from fivelevers.metering.interval import CostPerSuccess, Withheld, cost_per_success
from fivelevers.prices import Usage

ZERO = Decimal(0)


class GroupBy(StrEnum):
    TOTAL = "total"
    ROUTE = "route"
    TEAM = "team"
    KEY = "key"
    TAG = "tag"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One session of one group and arm, summed. Money in USD; ``known_cost`` is of requests with a known outcome."""

    group: str
    session: str
    holdout: bool
    requests: int
    attempts: int
    successes: int
    failures: int
    unpriced: int
    usage: Usage
    cost: Decimal
    list_cost: Decimal
    cost_without_us: Decimal
    known_cost: Decimal
    failed_cost: Decimal
    superseded_cost: Decimal
    estimated_cost: Decimal


@dataclass(slots=True)
class Line:
    """One line of the report, while it is added up and after."""

    group: str
    requests: int = 0
    attempts: int = 0
    successes: int = 0
    failures: int = 0
    unpriced: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal = ZERO
    list_cost: Decimal = ZERO
    cost_without_us: Decimal = ZERO
    estimated_cost: Decimal = ZERO
    failed_cost: Decimal = ZERO
    superseded_cost: Decimal = ZERO
    savings: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    clusters: list[Cluster] = field(default_factory=list)

    @property
    def unknown(self) -> int:
        return self.requests - self.successes - self.failures

    @property
    def saved(self) -> Decimal:
        return self.cost_without_us - self.cost

    @property
    def usd_per_million_tokens(self) -> Decimal | None:
        return self.cost * 1_000_000 / self.usage.total if self.usage.total else None

    @property
    def waste(self) -> tuple[Waste, ...]:
        """What the ledger alone can tell of it; the levers add their own kinds."""
        return (
            Waste(WasteKind.FAILED_REQUEST, self.failed_cost),
            Waste(WasteKind.SUPERSEDED_ATTEMPT, self.superseded_cost),
        )
