"""A real PostgreSQL server for tests: the distribution's binaries, a cluster of its own, one Unix socket, no TCP."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

_WHERE = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt/postgresql", "/usr/local/pgsql")
_BOOT_LIMIT_S = 30.0


def binaries() -> Path:
    """The newest server's folder. Skips the test where there is none."""
    found = [path.parent for root in _WHERE for path in Path(root).glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.skip("PostgreSQL is not installed; apt-get install postgresql")
    return Path(on_path).parent


class Server:
    """One cluster in a temporary folder; it can be killed and started again."""

    def __init__(self) -> None:
        self._binaries = binaries()
        # Not in pytest's folder: that is closed to the user that the server runs as, and too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="fivelevers-pg-"))
        self._identity = _identity()
        if self._identity:
            os.chown(self.folder, self._identity["user"], self._identity["group"])
        self._names = count()
        self._process: subprocess.Popen[bytes] | None = None
        initdb = f"{self._binaries}/initdb --username=tester --auth=trust --encoding=UTF8 --locale=C --no-sync"
        subprocess.run(
            [*initdb.split(), self.folder / "data"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._identity,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        deadline = time.monotonic() + _BOOT_LIMIT_S
        while True:
            if self._process is None or self._process.poll() is not None:  # after a kill, its children linger a moment
                self._process = self._spawn()
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _spawn(self) -> subprocess.Popen[bytes]:
        # -F: no fsync. What a killed process has written the kernel keeps; only a power cut would lose it.
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", "", "-F"],
                stdout=log, stderr=log, cwd=self.folder, **self._identity,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL to the server, which leaves a cluster that has to recover."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=20)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one statement, run by itself."""
        with psycopg.connect(host=str(self.folder), user="tester", dbname="postgres", autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def new_url(self) -> str:
        """The URL of an empty schema: a database of its own would be 300 files."""
        name = f"ledger_{next(self._names)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"postgresql+psycopg://tester@/postgres?host={self.folder}&options=-csearch_path%3D{name}"


def _identity() -> dict[str, Any]:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
