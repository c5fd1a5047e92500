"""The ledger: every attempt, outcome and look-up, in SQLite or PostgreSQL, kept in exact money.

Money is stored as whole picodollars (1e-12 USD), so sums in SQL are exact and come back as Decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeDecorator

from fivelevers import metrics
from fivelevers.metering.event import Attempt, ContentKept, Event, LookedUp, OutcomeSeen, Routed, from_record
from fivelevers.metering.outcomes import Source
from fivelevers.prices import Kind
from fivelevers.stores.database import is_of_the_values, named_errors, open_engine, writing
from fivelevers.stores.migrations import upgrade

_PICO, _ZERO = Decimal(10) ** 12, Decimal(0)


class Usd(TypeDecorator[Decimal]):
    """Decimal USD in Python, whole picodollars in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if not value:  # most kinds of token of most attempts
            return None if value is None else 0
        return int((value * _PICO).to_integral_value())

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        if not value:  # shared: a report holds millions of them
            return None if value is None else _ZERO
        return Decimal(int(value)) / _PICO


_JSON = JSON().with_variant(JSONB(), "postgresql")
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
    Column("treated", _JSON, nullable=False),
    Column("policy", String(12), nullable=False),
    Column("skipped", _JSON, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("digest", String(32), nullable=False),
    Column("repeat_window_s", Float),
    Column("end_user", String(32)),
    Column("charged_to", String(16)),
    Column("prompt_chars", Integer, nullable=False, server_default="0"),
    Index("attempt_by_digest", "session", "digest"),
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

switches = Table(
    "switch",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("at", Float, nullable=False, index=True),
    Column("action", String(8), nullable=False),
    Column("route", String(63), nullable=False),
    Column("lever", String(16), nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", String),
    Column("detail", _JSON),
)

contents = Table(
    "content",
    metadata,
    Column("request_id", String(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("route", String(63), nullable=False),
    Column("tenant", String, nullable=False),
    Column("end_user", String(32)),
    Column("expires_at", Float, nullable=False, index=True),
    Column("key_id", String(8)),
    Column("blob", LargeBinary, nullable=False),
    Index("content_by_route", "route", "at"),
)

look_ups = Table(
    "look_up",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("request_id", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("route", String(63), nullable=False),
    Column("tenant", String, nullable=False),
    Column("end_user", String(32)),
    Column("scope", String(32), nullable=False),
    Column("question", String(32), nullable=False),
    Column("embedder", String, nullable=False),
    Column("mode", String(6), nullable=False),
    Column("result", String(5), nullable=False),
    Column("verdict", String(9)),
    Column("judged_by", String(9)),
    Column("seen", _JSON, nullable=False),
    Index("look_up_by_route", "route", "at"),
)

calibrations = Table(
    "calibration",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("at", Float, nullable=False, index=True),
    Column("route", String(63), nullable=False),
    Column("lever", String(16), nullable=False),
    Column("actor", String, nullable=False),
    Column("detail", _JSON, nullable=False),
)

decisions = Table(
    "decision",
    metadata,
    Column("event_id", String(32), primary_key=True),
    Column("request_id", String(32), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("route", String(63), nullable=False),
    Column("tenant", String, nullable=False),
    Column("end_user", String(32)),
    Column("mode", String(6), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("model", String, nullable=False),
    Column("strong", String, nullable=False),
    Column("task", String, nullable=False),
    Column("chosen", String),
    Column("gain", Float),
    Column("saved_usd", Float),
    Column("point", Float),
    Column("threshold", Float),
    Column("artifact", Float),
    Index("decision_by_route", "route", "at"),
)

guards = Table(
    "guard",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("route", String(63), nullable=False),
    Column("lever", String(16), nullable=False),
    Column("arms", String(32), nullable=False),
)

_LONGEST_TAG = 256  # PostgreSQL indexes no text of more than 2,700 bytes
_INSERT = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}


class Ledger:
    """A ledger at a SQLAlchemy URL; the tables are made when they are missing."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)

    def create(self) -> None:
        """Bring the tables to this release's revision; any number of processes may do so at once."""
        with named_errors("can not be opened"):
            upgrade(self.engine)

    def insert(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Insert spooled records in one transaction, each event once however often it comes.

        Returns the records that are no events. Raises LedgerError when the database does not take them.
        """
        events, damaged = [], []
        for record in records:
            try:
                events.append((from_record(record), record))
            except (KeyError, TypeError, ValueError, ArithmeticError):
                damaged.append(record)
        with named_errors("does not take events"):
            return damaged + self._write_or_halve(events)

    def _write_or_halve(self, events: list[tuple[Event, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Write what can be written; the records that the database will never take are handed back."""
        try:
            self._write([event for event, _ in events])
        except (SQLAlchemyError, OverflowError) as error:
            if not is_of_the_values(error):
                raise
            if len(events) == 1:
                return [events[0][1]]
            half = len(events) // 2
            return self._write_or_halve(events[:half]) + self._write_or_halve(events[half:])
        return []

    def _write(self, events: Sequence[Event]) -> None:
        from fivelevers.stores.repeats import review  # it reads the tables above

        found = [e for e in events if isinstance(e, Attempt)]
        rows: list[tuple[Table, list[dict[str, Any]]]] = [
            (attempts, [_attempt_row(e) for e in found]),
            (tags, [{"event_id": e.event_id, "tag": tag} for e in found for tag in _tags(e)]),
            (savings, [{"event_id": e.event_id, "lever": s.lever, "basis": s.basis, "usd": s.usd}
                       for e in found for s in e.savings]),
            (outcomes, [_outcome_row(e) for e in events if isinstance(e, OutcomeSeen)]),
            (contents, [{c.name: getattr(e, c.name) for c in contents.columns}
                        for e in events if isinstance(e, ContentKept)]),
            (decisions, [{c.name: getattr(e, c.name) for c in decisions.columns}
                         for e in events if isinstance(e, Routed)]),
            (look_ups, [{c.name: getattr(e, c.name) for c in look_ups.columns}
                        for e in events if isinstance(e, LookedUp)]),
        ]  # fmt: skip
        with writing(self.engine) as connection:
            for table, values in rows:
                self._insert(connection, table, values)
            repeats = list(review(connection, found))
            self._insert(connection, outcomes, [_outcome_row(seen) for seen in repeats])
        for seen in repeats:
            metrics.count_outcome(seen)

    def add(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows that are no events, each once by its primary key. Raises LedgerError."""
        with named_errors("does not take rows"), writing(self.engine) as connection:
            self._insert(connection, table, rows)

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            # Both dialects' inserts have on_conflict_do_nothing; their common base class has not.
            insert: Any = _INSERT[self.engine.dialect.name]
            connection.execute(insert(table).on_conflict_do_nothing(), [_without_nul(row) for row in rows])

    def close(self) -> None:
        self.engine.dispose()


def _without_nul(row: dict[str, Any]) -> dict[str, Any]:
    """Clients may write U+0000 into a tag or an id; PostgreSQL keeps no such text, and their event shall count."""
    if "\0" not in "".join([v for v in row.values() if isinstance(v, str)]):
        return row
    return {name: v.replace("\0", "\ufffd") if isinstance(v, str) else v for name, v in row.items()}


def _tags(event: Attempt) -> Iterable[str]:
    return dict.fromkeys(tag[:_LONGEST_TAG] for tag in event.tags)


_BY_KIND = {f"{kind}_{what}" for kind in Kind for what in ("tokens", "usd")}
_AS_THEY_ARE = tuple(c.name for c in attempts.columns if c.name not in _BY_KIND)


def _attempt_row(event: Attempt) -> dict[str, Any]:
    row = {name: getattr(event, name) for name in _AS_THEY_ARE}
    row |= {f"{kind}_tokens": tokens for kind, tokens in event.usage.items()}
    # Without a price every kind is NULL; with one, a kind without tokens cost 0.
    row |= {f"{kind}_usd": None if event.cost_parts is None else event.cost_parts.get(kind, 0) for kind in Kind}
    row["treated"] = list(event.treated)
    row["skipped"] = list(event.skipped)
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
