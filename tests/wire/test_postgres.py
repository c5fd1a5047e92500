"""The ledger's databases in trouble: what was accepted is there once, and traffic notices nothing.

PostgreSQL here is a real server that the tests start; without one installed its tests are skipped.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import column, select
from sqlalchemy import table as table_

from fivelevers.errors import LedgerError
from fivelevers.meter import Meter
from fivelevers.metering.event import to_record
from fivelevers.stores import database
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.spool import SUFFIX
from tests.postgres import Server
from tests.unit.events import attempt
from tests.wire.proxy import wait_for

ROOT = Path(__file__).parents[2]
WRITERS, EVENTS = 4, 5000


def writer(folder: Path, url: str, name: str, count: int, *moment: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.wire.ledger_writer", str(folder), url, name, str(count), *moment]
    return subprocess.Popen(command, cwd=ROOT)


@contextmanager
def ended(writers: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in writers:
            process.kill()
            process.wait()


def accepted(root: Path) -> list[str]:
    return [name for path in root.rglob("*.accepted") for name in path.read_text().splitlines()]


def kept(url: str, table: str = "attempt") -> list[str]:
    ledger = Ledger(url)
    try:
        ledger.create()
        with ledger.engine.connect() as connection:
            return list(connection.execute(select(column("event_id")).select_from(table_(table))).scalars())
    finally:
        ledger.close()


def waiting(root: Path) -> list[Path]:
    return [path for pattern in (f"*{SUFFIX}", "*.rejected") for path in root.rglob(pattern)]


def test_a_database_killed_in_mid_load_loses_and_doubles_nothing(tmp_path: Path) -> None:
    server = Server()
    try:
        server.start()
        url = server.new_url()
        writers = [writer(tmp_path / f"w{at}", url, f"w{at}", EVENTS) for at in range(WRITERS)]
        with ended(writers):
            wait_for(lambda: len(kept(url)), lambda count: count > WRITERS * EVENTS // 10)
            server.kill()
            at_the_kill = len(accepted(tmp_path))
            assert 0 < at_the_kill < WRITERS * EVENTS
            # Without a database traffic goes on.
            assert wait_for(lambda: len(accepted(tmp_path)), lambda count: count > at_the_kill + 2000) > at_the_kill
            server.start()
            assert [process.wait(timeout=240) for process in writers] == [0] * WRITERS
        said = accepted(tmp_path)
        assert len(said) == WRITERS * EVENTS
        assert sorted(kept(url)) == sorted(said)
        assert len(kept(url, "tag")) == len(said)
        assert len(kept(url, "outcome")) == len(said) // 50
        assert waiting(tmp_path) == []
    finally:
        server.close()


def test_writers_killed_in_mid_drain_lose_and_double_nothing(tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "state"
    fates = {"w0": (), "w1": (), "w2": ("before-commit",), "w3": ("after-commit",)}
    writers = {name: writer(folder, url, name, 1500, *moment) for name, moment in fates.items()}
    with ended(list(writers.values())):
        assert [process.wait(timeout=240) for process in writers.values()] == [0, 0, -9, -9]
    said, found = set(accepted(folder)), kept(url)
    assert len(found) == len(set(found))
    assert said <= set(found)
    assert len(found) <= len(said) + 2  # each killed one may have died between accepting an event and noting it
    assert waiting(folder) == []


@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
def test_a_locked_table_holds_up_no_traffic(
    tmp_path: Path, postgres: Server, postgres_url: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept(postgres_url) == []
    meter = Meter(tmp_path, postgres_url)
    meter.spool.append(to_record(attempt(event_id="first")))
    meter.spool.close()
    with monkeypatch.context() as patch, psycopg.connect(libpq(postgres_url)) as holder:
        patch.setitem(database.LIMITS_MS, limit, 200)
        holder.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LedgerError, match=limit.replace("_", " ")):
            meter.drain()
        for at in range(10):
            meter.record(attempt(event_id=f"later-{at}"))  # would wait for ever, if it waited: the lock is ours
        assert len(waiting(tmp_path)) > 0
    found = wait_for(lambda: kept(postgres_url), lambda found: len(found) == 11)
    assert sorted(found) == sorted(["first", *(f"later-{at}" for at in range(10))])
    meter.close()
    assert waiting(tmp_path) == []


def test_what_is_kept_here_does_not_wait_for_the_database(
    tmp_path: Path, postgres: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept(postgres_url) == []
    meter, done = Meter(tmp_path, postgres_url), threading.Event()
    with monkeypatch.context() as patch, psycopg.connect(libpq(postgres_url)) as holder:
        for limit in database.LIMITS_MS:
            patch.setitem(database.LIMITS_MS, limit, 600_000)
        holder.execute("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE")
        meter.record(attempt())
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        assert wait_for(lambda: postgres.execute(blocked), lambda rows: rows[0][0] > 0) == [(1,)]
        meter.later(done.set, "job")
        assert done.wait(20)
        meter.record(attempt())
        assert len(wait_for(lambda: waiting(tmp_path), lambda segments: len(segments) == 2)) == 2
    meter.close()
    assert len(kept(postgres_url)) == 2


FORKING = """
import os, sys
from pathlib import Path
from fivelevers.meter import Meter
from tests.unit.events import attempt
meter = Meter(Path(sys.argv[1]), sys.argv[2])

def write(who):
    for at in range(40):
        meter.record(attempt(event_id=f"{who}-{at}"))
        meter.spool.close()
        meter.drain()

write("before")
child = os.fork()
write("parent" if child else "child")
meter.close()
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_process_leaves_its_parents_connection_alone(tmp_path: Path, postgres_url: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, tmp_path, postgres_url], cwd=ROOT, check=True, timeout=120)
    assert sorted(kept(postgres_url)) == sorted(
        f"{who}-{at}" for who in ("before", "child", "parent") for at in range(40)
    )
    assert waiting(tmp_path) == []


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    ledger = Ledger(f"postgres://me:s3cret@/ledger?host={tmp_path}")
    with pytest.raises(LedgerError, match="can not be opened") as told:
        ledger.create()
    assert "s3cret" not in str(told.value)


def libpq(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")
