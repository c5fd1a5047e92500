"""The ledger: every attempt and outcome, in SQLite or PostgreSQL, kept in exact money.

Money is stored as whole picodollars (1e-12 USD), so sums in SQL are exact and come back as Decimal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator

from fivelevers.errors import LedgerError
from fivelevers.metering.event import Attempt, OutcomeSeen, from_record
from fivelevers.metering.outcomes import Source
from fivelevers.prices import Kind

_PICO = Decimal(10) ** 12


class Usd(TypeDecorator[Decimal]):
    """Decimal USD in Python, whole picodollars in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((value * _PICO).to_integral_value())

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(int(value)) / _PICO


metadata = MetaData()

attempts = Table(
    "attempt",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("request_id", String(32), nullable=False, index=True),
    Column("at", Float, nullable=False, index=True),
    Column("started_at", Float, nullable=False),
    Column("route", String(63), nullable=False),
    Column("tenant", String, nullable=False),
    Column("team", String),
    Column("key", String, nullable=False),
    Column("key_alias", String),
    Column("session", String(64), nullable=False),
    Column("explicit_session", Boolean, nullable=False),
    Column("api", String(16), nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("alias", String, nullable=False),
    Column("model", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("provider_key", String(16)),
    Column("deployment", String),
    Column("provider_request_id", String),
    Column("success", Boolean, nullable=False),
    Column("error", String),
    Column("finish_reason", String),
    *(Column(f"{kind}_tokens", Integer, nullable=False) for kind in Kind),
    Column("usage_source", String(9), nullable=False),
    *(Column(f"{kind}_usd", Usd) for kind in Kind),
    Column("cost_usd", Usd),
    Column("list_cost_usd", Usd),
    Column("cost_without_us_usd", Usd),
    Column("failure_cost_usd", Usd, nullable=False),
    Column("u", Float, nullable=False),
    Column("holdout", Boolean, nullable=False),
    Column("treated", JSON, nullable=False),
    Column("policy", String(12), nullable=False),
)

tags = Table(
    "tag",
    metadata,
    Column("event_id", ForeignKey("attempt.event_id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String, primary_key=True),
)

savings = Table(
    "saving",
    metadata,
    Column("event_id", ForeignKey("attempt.event_id", ondelete="CASCADE"), primary_key=True),
    Column("lever", String(16), primary_key=True),
    Column("basis", String(9), primary_key=True),
    Column("usd", Usd, nullable=False),
)

outcomes = Table(
    "outcome",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("request_id", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("source", String(16), nullable=False),
    Column("strength", Integer, nullable=False),
    Column("detail", String),
    Index("outcome_by_request", "request_id", "strength", "at"),
)

_INSERT = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}


class Ledger:
    """A ledger at a SQLAlchemy URL; the tables are made when they are missing."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        if self.engine.dialect.name not in _INSERT:
            raise LedgerError(f"FIVELEVERS_LEDGER_URL: {self.engine.dialect.name} is neither sqlite nor postgresql")

    def create(self) -> None:
        """Make what is missing. Several processes may do so at once: who loses the race looks again."""
        with _named_errors("can not be opened"):
            for wait_s in (0.05, 0.1, 0.2, 0.4, 0.8):
                with suppress(OperationalError, ProgrammingError, IntegrityError):
                    self._create()
                    return
                time.sleep(wait_s)
            self._create()

    def _create(self) -> None:
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                # Lets reports read while drainers write; the file remembers it.
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        metadata.create_all(self.engine)

    def insert(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Insert spooled records in one transaction, each event once however often it comes.

        Returns the records that are no events. Raises LedgerError when the database does not take them.
        """
        events, damaged = [], []
        for record in records:
            try:
                events.append(from_record(record))
            except (KeyError, TypeError, ValueError, ArithmeticError):
                damaged.append(record)
        found = [e for e in events if isinstance(e, Attempt)]
        rows: list[tuple[Table, list[dict[str, Any]]]] = [
            (attempts, [_attempt_row(e) for e in found]),
            (tags, [{"event_id": e.event_id, "tag": tag} for e in found for tag in dict.fromkeys(e.tags)]),
            (savings, [{"event_id": e.event_id, "lever": s.lever, "basis": s.basis, "usd": s.usd}
                       for e in found for s in e.savings]),
            (outcomes, [_outcome_row(e) for e in events if isinstance(e, OutcomeSeen)]),
        ]  # fmt: skip
        with _named_errors("does not take events"), self.engine.begin() as connection:
            for table, values in rows:
                self._insert(connection, table, values)
        return damaged

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            # Both dialects' inserts have on_conflict_do_nothing; their common base class has not.
            insert: Any = _INSERT[self.engine.dialect.name]
            connection.execute(insert(table).on_conflict_do_nothing(), rows)

    def close(self) -> None:
        self.engine.dispose()


def _attempt_row(event: Attempt) -> dict[str, Any]:
    by_kind = {f"{kind}_{what}" for kind in Kind for what in ("tokens", "usd")}
    row = {c.name: getattr(event, c.name) for c in attempts.columns if c.name not in by_kind}
    row |= {f"{kind}_tokens": tokens for kind, tokens in event.usage.items()}
    # Without a price every kind is NULL; with one, a kind without tokens cost 0.
    row |= {f"{kind}_usd": None if event.cost_parts is None else event.cost_parts.get(kind, 0) for kind in Kind}
    row["treated"] = list(event.treated)
    return row


def _outcome_row(event: OutcomeSeen) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "request_id": event.request_id,
        "at": event.at,
        "outcome": event.outcome.value,
        "source": event.source.value,
        "strength": list(Source).index(event.source),
        "detail": event.detail,
    }


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        # A pooled SQLite connection would go on writing into a file that somebody moved away or deleted.
        engine = create_engine(parsed, poolclass=NullPool if parsed.get_backend_name() == "sqlite" else None)
    except (ArgumentError, ModuleNotFoundError, OSError) as error:
        raise LedgerError(f"FIVELEVERS_LEDGER_URL: {url!r} can not be used: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    # FULL: a segment leaves the spool when its commit returns.
    for pragma in ("busy_timeout = 5000", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _named_errors(what: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: {what}: {error}") from error
