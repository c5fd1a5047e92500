"""Connections to the ledger's database: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.pool import NullPool

from fivelevers.errors import LedgerError

# A server that is gone is noticed within 3 s when we connect and within 30 s in mid-statement.
_POSTGRESQL: dict[str, Any] = {
    "application_name": "fivelevers",
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
LIMITS_MS = {"lock_timeout": 5_000, "statement_timeout": 30_000}
# SQLSTATE classes that speak about the values, not about the database: data exceptions, integrity, limits of an index.
_OF_THE_VALUES = ("22", "23", "54")


def open_engine(url: str) -> Engine:
    """An engine for ``url``; nothing is connected yet. Raises LedgerError when the URL can not be used."""
    shown = re.sub(r":.*@", ":***@", url)
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            return _sqlite(parsed)
        if backend in {"postgresql", "postgres"}:
            return _postgresql(parsed)
    except ModuleNotFoundError as error:
        raise LedgerError(
            f"FIVELEVERS_LEDGER_URL: {shown!r} needs {error.name}; pip install 'fivelevers[postgres]'"
        ) from error
    except (ArgumentError, OSError) as error:
        raise LedgerError(f"FIVELEVERS_LEDGER_URL: {shown!r} can not be used: {error}") from error
    raise LedgerError(f"FIVELEVERS_LEDGER_URL: {shown!r} is neither sqlite:// nor postgresql://")


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    # A pooled SQLite connection would go on writing into a file that somebody moved away or deleted.
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _postgresql(url: URL) -> Engine:
    if url.drivername in {"postgresql", "postgres"}:  # what the proxy's own DATABASE_URL looks like
        url = url.set(drivername="postgresql+psycopg")
    if url.get_driver_name() != "psycopg":
        raise ArgumentError(f"the driver {url.get_driver_name()} is not supported; write postgresql+psycopg://")
    given = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
    return create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=given)


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    # FULL: a segment leaves the spool when its commit returns.
    # secure_delete: what a person asked us to forget, or has expired, is overwritten and not only unlinked.
    for pragma in ("busy_timeout = 5000", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that gives up rather than wait: after 5 s for a lock, on PostgreSQL after 30 s in a statement.

    The limits hold for this transaction alone, so that they work behind a pooler, and reports may take their time.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            limits = (func.set_config(name, f"{ms}ms", True) for name, ms in LIMITS_MS.items())
            connection.execute(select(*limits))
        yield connection


def is_of_the_values(error: Exception) -> bool:
    """Whether the values are at fault: no retry would help, another event may do better."""
    if isinstance(error, (DataError, IntegrityError, OverflowError)):
        return True
    if isinstance(error, DBAPIError):
        return (getattr(error.orig, "sqlstate", None) or "").startswith(_OF_THE_VALUES)
    return isinstance(error, StatementError)  # a value that has not even the type of its column


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Every error of the database as a LedgerError, without its SQL."""
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: {what}: {getattr(error, 'orig', None) or error}") from error
