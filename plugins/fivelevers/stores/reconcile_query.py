"""The ledger's side of a comparison with a provider's bill."""

from __future__ import annotations

from sqlalchemy import func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from fivelevers.errors import LedgerError
from fivelevers.metering.event import UsageSource
from fivelevers.metering.reconcile import Line
from fivelevers.prices import Kind
from fivelevers.stores.ledger import Ledger, Usd, attempts


def reported_lines(ledger: Ledger, since: float) -> list[Line]:
    """Tokens and dollars by provider key, model and kind, of attempts whose usage the provider reported."""
    sums = [
        column
        for kind in Kind
        for column in (
            func.sum(attempts.c[f"{kind}_tokens"]),
            func.sum(attempts.c[f"{kind}_usd"], type_=Usd),
            func.count() - func.count(attempts.c[f"{kind}_usd"]),
        )
    ]
    query = (
        select(func.coalesce(attempts.c.provider_key, "(unknown key)"), attempts.c.model, *sums)
        .where(attempts.c.usage_source == UsageSource.REPORTED.value, attempts.c.at >= since)
        .group_by(attempts.c.provider_key, attempts.c.model)
    )
    try:
        with ledger.engine.connect() as connection:
            rows = connection.execute(query).all()
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: can not be read: {error}") from error
    lines = []
    for key, model, *values in rows:
        for at, kind in enumerate(Kind):
            tokens, usd, unpriced = values[3 * at : 3 * at + 3]
            if tokens:
                lines.append(Line(key, model, kind, int(tokens), None if unpriced else usd))
    return lines


def calls(ledger: Ledger, source: UsageSource, since: float) -> dict[str, int]:
    """Tokens of each call whose usage comes from ``source``, by the provider's name of the call."""
    tokens = sum((attempts.c[f"{kind}_tokens"] for kind in Kind), literal(0))
    query = select(attempts.c.provider_request_id, tokens).where(
        attempts.c.usage_source == source.value,
        attempts.c.at >= since,
        attempts.c.provider_request_id.is_not(None),
    )
    try:
        with ledger.engine.connect() as connection:
            return {name: int(total) for name, total in connection.execute(query)}
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: can not be read: {error}") from error
