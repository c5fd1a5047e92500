"""The spool: events are on disk before anything else happens to them, and leave it only when the ledger has them.

Each process appends to its own segment and holds a lock on it; a segment without a live writer belongs to whoever locks
it next, so a killed process's events are drained by its siblings. Accepted means appended: a killed process loses
nothing of it, a power cut at most the last ``SYNC_EVERY_S``.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from fivelevers.errors import LedgerError

SYNC_EVERY_S = 0.1
QUIET_S = 0.3
ROTATE_AFTER_S = 2.0  # a transaction costs as much as dozens of events do: under load it shall hold many
ROTATE_AFTER_BYTES = 4 << 20
SUFFIX = ".events"

_log = logging.getLogger("fivelevers.spool")


def _json_default(value: object) -> str:
    return str(value)  # Decimal, and nothing else that an event holds


class Spool:
    """An append-only directory of segments. Thread-safe; safe across fork (each process opens its own segment)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._owner = 0
        self._opened_at = self._appended_at = 0.0
        self._size = 0
        self._dirty = False

    def append(self, record: dict[str, Any]) -> None:
        """Accept one event. Raises LedgerError when the disk does not take it."""
        line = orjson.dumps(record, default=_json_default, option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            try:
                written = os.write(self._segment(), line)
            except OSError as error:
                raise LedgerError(f"spool: {self.directory} does not take events: {error}") from error
            self._size += written
            self._dirty, self._appended_at = True, time.monotonic()
            if written != len(line):
                self._close()  # disk full: the torn line ends its segment, and the reader tolerates just that
                raise LedgerError(f"spool: {self.directory} is full")

    def sync(self) -> bool:
        """Push what was appended to the disk; whether a segment was due and closed, which hands it to the drainers.

        It is due when nothing has come for ``QUIET_S``, and under steady traffic by age or size.
        """
        with self._lock:
            if self._fd is None or self._owner != os.getpid():
                return False
            fd, dirty, self._dirty = self._fd, self._dirty, False
        if dirty:
            os.fdatasync(fd)  # outside the lock: appends go on meanwhile; only this thread closes segments
        with self._lock:
            due = bool(self._size) and not self._dirty and self._is_due(time.monotonic())
            if due:
                self._close()
        return due

    def _is_due(self, now: float) -> bool:
        old = now - self._opened_at >= ROTATE_AFTER_S or self._size >= ROTATE_AFTER_BYTES
        return old or now - self._appended_at >= QUIET_S

    @property
    def idle(self) -> bool:
        """Whether this process has no segment that must still be synced or closed."""
        return self._fd is None or self._owner != os.getpid()

    def close(self) -> None:
        with self._lock:
            if self._owner == os.getpid():
                self._close()

    def waiting_bytes(self) -> int:
        """Bytes of all processes' segments that are not drained yet."""
        total = 0
        for name in _segments(self.directory):
            with suppress(FileNotFoundError):  # a sibling drained it while we looked
                total += (self.directory / name).stat().st_size
        return total

    def _segment(self) -> int:
        if self._fd is not None and self._owner == os.getpid():
            return self._fd
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{os.getpid()}-{uuid.uuid4().hex}{SUFFIX}"
        # Locked under a hidden name first: between open and flock a drainer would take it for abandoned.
        hidden = path.with_suffix(".new")
        fd = os.open(hidden, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        hidden.rename(path)
        self._fd, self._owner, self._opened_at, self._size = fd, os.getpid(), time.monotonic(), 0
        return fd

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def drain(directory: Path, insert: Callable[[list[dict[str, Any]]], None]) -> int:
    """Hand every segment without a writer to ``insert`` and delete it; returns the number of events.

    ``insert`` must take the same event twice without harm: a crash between insert and delete repeats a segment. When it
    raises, the segment stays. Lines that are not JSON are kept beside, in a ``.rejected`` file.
    """
    events = 0
    for name in _segments(directory):
        path = directory / name
        with _claimed(path) as claimed:
            if not claimed:
                continue
            records = list(_records(path))
            if records:
                insert(records)
            path.unlink(missing_ok=True)
            events += len(records)
    return events


def _segments(directory: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except FileNotFoundError:
        return []


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield os.fstat(fd).st_nlink > 0  # 0: another drainer finished it between our open and our lock
    finally:
        os.close(fd)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    complete = data[: data.rfind(b"\n") + 1]  # a writer killed in mid-write leaves a torn last line: never accepted
    for line in complete.splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            record = None
        if isinstance(record, dict):
            yield record
        else:
            reject(path, line)


def reject(path: Path, line: bytes) -> None:
    """Keep what could not be read where a person finds it, and say so."""
    beside = path.with_suffix(".rejected")
    with beside.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # somebody may be cutting a forgotten subject out of it
        file.write(line + b"\n")
    _log.error("spool: a damaged line was set aside in %s", beside)
