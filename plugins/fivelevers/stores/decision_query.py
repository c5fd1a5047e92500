"""What the ledger knows of lever 4's decisions about one request, and of the attempts that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import and_, select

from fivelevers.metering.event import Routed
from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, attempts, decisions, savings

_LEVER = "routing"


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt. ``saved_usd``: by lever 4, whose own it was where ``charged_to`` says so."""

    at: float
    route: str
    model: str
    provider: str
    deployment: str | None
    success: bool
    error: str | None
    cost_usd: Decimal | None
    cost_without_us_usd: Decimal | None
    saved_usd: Decimal | None
    charged_to: str | None


def decided(ledger: Ledger, request_id: str) -> Sequence[Routed]:
    """In the order in which they were taken. Raises LedgerError."""
    query = select(decisions).where(decisions.c.request_id == request_id).order_by(decisions.c.at)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return [Routed(**row) for row in connection.execute(query).mappings()]


def tried(ledger: Ledger, request_id: str) -> Sequence[Tried]:
    """In the order in which they ended; those that another lever made itself are left out. Raises LedgerError."""
    a, mine = attempts.c, and_(savings.c.event_id == attempts.c.event_id, savings.c.lever == _LEVER)
    told = (a.at, a.route, a.model, a.provider, a.deployment, a.success, a.error, a.cost_usd, a.cost_without_us_usd)
    query = (
        select(*told, savings.c.usd, a.charged_to)
        .select_from(attempts.outerjoin(savings, mine))
        .where(a.request_id == request_id, a.charged_to.is_(None) | (a.charged_to == _LEVER))
        .order_by(a.at)
    )
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return [Tried(*row) for row in connection.execute(query)]
