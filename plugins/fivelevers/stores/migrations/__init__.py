"""The ledger's tables, made and changed step by step; a database remembers which step it has reached.

A change of the tables in ledger.py needs a new file in `versions/` and a new `HEAD`. There is no way back down: a
ledger is never dropped, and an older release refuses a newer database and leaves its events in the spool.
"""

from __future__ import annotations

import threading
import time

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from fivelevers.errors import LedgerError

HEAD = "0004"
REVISION_TABLE = "fivelevers_revision"  # a name of our own: the database may hold other programs' tables

_alembic = threading.Lock()  # its `op` and `context` are the process's: two databases at once would be mixed up
_ADVISORY_LOCK = int.from_bytes(b"5levers", "big")


def upgrade(engine: Engine) -> None:
    """Bring the database to `HEAD`: one SELECT where it is there; of many processes at once, one does the work.

    Raises SQLAlchemyError, and LedgerError on a database that only a newer release knows.
    """
    if _revision(engine) == HEAD:
        return
    if engine.dialect.name == "sqlite":
        _write_ahead(engine)
    with _alembic, engine.begin() as connection:
        _lock(connection)
        _upgrade(connection)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        try:
            found: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {REVISION_TABLE}").scalar()  # noqa: S608
        except (OperationalError, ProgrammingError):  # no such table
            return None
    return found


def _write_ahead(engine: Engine) -> None:
    """Let reports read while drainers write; the file remembers it. SQLite does not wait for others here."""
    for wait_s in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError:
            if wait_s is None:
                raise
            time.sleep(wait_s)
        else:
            return


def _lock(connection: Connection) -> None:
    """Let no other process in until this transaction ends; give up after 5 s."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _upgrade(connection: Connection) -> None:
    # Loaded here: a process that finds its tables, as all but the first do, goes without.
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "fivelevers:stores/migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection, opts={"version_table": REVISION_TABLE}).get_current_revision()
    if found is not None and found not in known:
        raise LedgerError(
            f"ledger: the database is at revision {found}, this release knows {HEAD} at most; "
            "upgrade fivelevers, or point FIVELEVERS_LEDGER_URL elsewhere"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
