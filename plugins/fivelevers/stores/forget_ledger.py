"""The ledger forgets a subject: its rows in every table, and their bytes in the database's files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    cast,
    delete,
    false,
    func,
    insert,
    or_,
    select,
)

from fivelevers.stores.database import named_errors
from fivelevers.stores.forget import NO_SUBJECT, Subject, Traces
from fivelevers.stores.ledger import Ledger, attempts, metadata

_WAIT_S = 10  # for those who read or write when the files are compacted


class LedgerForgetter:
    """A row is the subject's when a column of it says so, or when it belongs to an attempt that does."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def traces(self, subject: Subject) -> Traces:
        """The ids of everything that the ledger has of a subject. Raises LedgerError."""
        ids: set[str] = set()
        with named_errors("can not be read"), self._ledger.engine.connect() as connection:
            for table in metadata.sorted_tables:
                named = [table.c[name] for name in ("request_id", "event_id") if name in table.c]
                for row in connection.execute(select(*named).where(_rows(table, subject))) if named else ():
                    ids.update(row)
        return Traces(subject, frozenset(ids))

    def find(self, traces: Traces) -> Mapping[str, int]:
        with named_errors("can not be read"), self._ledger.engine.connect() as connection:
            return {
                table.name: connection.execute(
                    select(func.count()).select_from(table).where(_rows(table, traces.subject))
                ).scalar_one()
                for table in metadata.sorted_tables
            }

    def remove(self, traces: Traces) -> Mapping[str, int]:
        # The attempts tell which rows of the other tables are the subject's, so they go last.
        tables = [table for table in reversed(metadata.sorted_tables) if table is not attempts] + [attempts]
        with named_errors("rows can not be deleted"), self._ledger.engine.begin() as connection:
            removed = {
                table.name: connection.execute(delete(table).where(_rows(table, traces.subject))).rowcount
                for table in tables
            }
        with named_errors("rows are deleted, but its files keep their bytes until this is run again"):
            self._compact()
        return removed

    def left(self, traces: Traces) -> Mapping[str, int]:
        with named_errors("can not be searched"), self._ledger.engine.connect() as connection:
            found = _search(connection, traces)
        return found | {f"{file.name} (bytes)": _in_file(file, traces) for file in self._files()}

    def _compact(self) -> None:
        engine = self._ledger.engine
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {_WAIT_S * 1000}")
                connection.exec_driver_sql("VACUUM")
                _truncate_log(connection)
                return
            connection.exec_driver_sql(f"SET lock_timeout = '{_WAIT_S}s'")
            for table in metadata.sorted_tables:
                connection.exec_driver_sql(f'VACUUM (FULL) "{table.name}"')

    def _files(self) -> Iterator[Path]:
        """SQLite's files. A PostgreSQL server's are its own business, as its log archives and backups are."""
        url = self._ledger.engine.url
        if url.get_backend_name() == "sqlite" and url.database:
            names = (url.database, f"{url.database}-wal", f"{url.database}-journal")
            yield from (Path(name) for name in names if Path(name).exists())


def _rows(table: Table, subject: Subject) -> ColumnElement[bool]:
    if table is attempts:
        return _attempts_of(subject)
    # A row that names an end user and no team belongs to the narrowed subject only by its request.
    names = subject.columns.items() if subject.team is None else ()
    where = [table.c[name] == value for name, value in names if name in table.c]
    if "request_id" in table.c:
        where.append(table.c.request_id.in_(select(attempts.c.request_id).where(_attempts_of(subject))))
    elif any(key.column is attempts.c.event_id for key in table.foreign_keys):
        where.append(table.c.event_id.in_(select(attempts.c.event_id).where(_attempts_of(subject))))
    return or_(false(), *where)


def _attempts_of(subject: Subject) -> ColumnElement[bool]:
    said = or_(*(attempts.c[name] == value for name, value in subject.columns.items()))
    return said if subject.team is None else said & (attempts.c.team == subject.team)


def _search(connection: Connection, traces: Traces) -> dict[str, int]:
    """Rows by table, of every table that is there, in which some text names the subject or is one of its ids."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA temp_store = MEMORY")  # the ids shall not reach the disk again
    found = MetaData()
    found.reflect(connection)
    forgotten = Table("forgotten", MetaData(), Column("id", String, primary_key=True), prefixes=["TEMPORARY"])
    forgotten.create(connection)
    if traces.ids:
        connection.execute(insert(forgotten), [{"id": name} for name in traces.ids])
    counts = {table.name: _rows_left(connection, table, forgotten, traces) for table in found.sorted_tables}
    connection.rollback()  # the temporary table goes with it
    return counts


def _rows_left(connection: Connection, table: Table, forgotten: Table, traces: Traces) -> int:
    texts = [cast(column, String).label(column.name) for column in table.c if isinstance(column.type, (String, JSON))]
    where: list[ColumnElement[bool]] = [text.in_(select(forgotten.c.id)) for text in texts]
    where += [
        text.contains(name, autoescape=True)
        for text in texts
        if text.name not in NO_SUBJECT
        for name in traces.subject.names
    ]
    rows = connection.execution_options(yield_per=1000).execute(select(*texts).where(or_(false(), *where)))
    return sum(_is_trace(row, traces) for row in rows.mappings()) if texts else 0


def _is_trace(row: Mapping[Any, Any], traces: Traces) -> bool:
    texts = [(name, value) for name, value in row.items() if value is not None]
    return any(value in traces.ids or (name not in NO_SUBJECT and traces.named_in(value)) for name, value in texts)


def _in_file(path: Path, traces: Traces) -> int:
    """How often one of the ids stands in the bytes of a file."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return 0
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return sum(1 for _ in traces.ids_in(data))


def _truncate_log(connection: Connection) -> None:
    """Empty SQLite's write-ahead log; whoever reads just now delays it, for so long as we wait."""
    deadline = time.monotonic() + _WAIT_S
    while connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] and time.monotonic() < deadline:
        time.sleep(0.1)
