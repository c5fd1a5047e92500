"""The ledger by UTC day, provider, model and kind of token: what a provider's export is held against."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Integer, RowMapping, Select, case, cast, func, literal_column, or_, select
from sqlalchemy.exc import SQLAlchemyError

from fivelevers.errors import LedgerError
from fivelevers.metering.event import UsageSource
from fivelevers.metering.exports.lines import DAY_S, Aside, Books, Line
from fivelevers.prices import Kind
from fivelevers.stores.ledger import Ledger, Usd, attempts


def books(ledger: Ledger, start: float, until: float, *, provider: str | None = None, key: str | None = None) -> Books:
    """Attempts that ended in [``start``, ``until``), seconds since the epoch.

    ``provider`` None: all; ``key``: the fingerprint of a provider account's key, or LiteLLM's hash of a caller's.
    Attempts with estimated usage are left aside, those without a price make the dollars of their day unknown.
    """
    query = _query(day_of(ledger)).where(attempts.c.at >= start, attempts.c.at < until)
    if provider is not None:
        query = query.where(attempts.c.provider == provider)
    if key is not None:
        query = query.where(or_(attempts.c.provider_key == key, attempts.c.key == key))
    try:
        with ledger.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: can not be read: {error}") from error
    return Books(
        tuple(line for row in rows for line in _lines(row)),
        tuple(_aside(row) for row in rows if row["estimated"] or row["unpriced"]),
    )


def day_of(ledger: Ledger) -> ColumnElement[int]:
    """Whole days since the epoch. PostgreSQL rounds in a cast; SQLite cuts off, and has no floor() in every build."""
    days = attempts.c.at / literal_column("86400.0")
    return func.floor(days) if ledger.engine.dialect.name == "postgresql" else cast(days, Integer)


def _query(day: ColumnElement[int]) -> Select[Any]:
    reported = attempts.c.usage_source == UsageSource.REPORTED.value
    estimated = attempts.c.usage_source == UsageSource.ESTIMATED.value
    tokens = reduce(add, (attempts.c[f"{kind}_tokens"] for kind in Kind))
    group = (day, attempts.c.provider, attempts.c.model)
    return select(
        day.label("day"),
        attempts.c.provider,
        attempts.c.model,
        *(_sum(case((reported, attempts.c[f"{kind}_tokens"]), else_=0)).label(f"{kind}_tokens") for kind in Kind),
        *(func.sum(case((reported, attempts.c[f"{kind}_usd"])), type_=Usd).label(f"{kind}_usd") for kind in Kind),
        _sum(case((reported & attempts.c.cost_usd.is_(None), 1), else_=0)).label("unpriced"),
        _sum(case((estimated, 1), else_=0)).label("estimated"),
        _sum(case((estimated, tokens), else_=0)).label("estimated_tokens"),
    ).group_by(*group)


def _sum(value: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(value)


def _lines(row: RowMapping) -> Iterator[Line]:
    for kind in Kind:
        tokens = int(row[f"{kind}_tokens"])
        if tokens:
            usd = None if row["unpriced"] else row[f"{kind}_usd"]
            yield Line(int(row["day"]) * DAY_S, row["provider"], row["model"], kind, tokens, usd)


def _aside(row: RowMapping) -> Aside:
    counts = {name: int(row[name]) for name in ("estimated", "estimated_tokens", "unpriced")}
    return Aside(int(row["day"]) * DAY_S, row["provider"], row["model"], **counts)
