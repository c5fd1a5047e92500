"""The spool forgets a subject.

Its segments are on their way into the ledger, so they are drained first and forgotten there: `hand_over`. What stays in
the spool are the lines that no ledger took; those of the subject are cut out of their files.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from fivelevers.errors import LedgerError
from fivelevers.stores.forget import NO_SUBJECT, Traces
from fivelevers.stores.spool import SUFFIX

HAND_OVER_LIMIT_S = 10.0
_POLL_S = 0.1


def hand_over(directory: Path, drain: Callable[[], object]) -> None:
    """Drain until every segment that is there now is in the ledger; live writers close theirs within 2 s.

    Raises LedgerError when one of them keeps its segment.
    """
    waiting, deadline = set(directory.glob(f"*{SUFFIX}")), time.monotonic() + HAND_OVER_LIMIT_S
    while True:
        drain()
        waiting = {path for path in waiting if path.exists()}
        if not waiting:
            return
        if time.monotonic() > deadline:
            held = ", ".join(sorted(path.name for path in waiting))
            raise LedgerError(f"spool: {held}: not handed over; stop its writer, whose process id comes first")
        time.sleep(_POLL_S)


class SpoolForgetter:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, traces: Traces) -> Mapping[str, int]:
        return {f"spool/{path.name}": _count(path, traces) for path in self._rejected()}

    def remove(self, traces: Traces) -> Mapping[str, int]:
        return {f"spool/{path.name}": _cut(path, traces) for path in self._rejected()}

    def left(self, traces: Traces) -> Mapping[str, int]:
        files = sorted(self._directory.iterdir()) if self._directory.is_dir() else ()
        return {"spool": 0} | {f"spool/{path.name}": _count(path, traces) for path in files if path.is_file()}

    def _rejected(self) -> list[Path]:
        return sorted(self._directory.glob("*.rejected"))


def _count(path: Path, traces: Traces) -> int:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:  # a proxy drained it meanwhile
        return 0
    return sum(_is_trace(line, traces) for line in lines)


def _cut(path: Path, traces: Traces) -> int:
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # against `spool.reject`
        lines = file.read().splitlines(keepends=True)
        kept = [line for line in lines if not _is_trace(line, traces)]
        if len(kept) < len(lines):
            file.seek(0)
            file.writelines(kept)
            file.truncate()
    return len(lines) - len(kept)


def _is_trace(line: bytes, traces: Traces) -> bool:
    if any(traces.ids_in(line)):
        return True
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if not isinstance(record, dict):
        return traces.named_in(line.decode(errors="replace"))
    subject = traces.subject
    said = any(record.get(name) == value for name, value in subject.columns.items())
    if said and (subject.team is None or record.get("team") == subject.team):
        return True
    about = {name: value for name, value in record.items() if name not in NO_SUBJECT}
    return traces.named_in(orjson.dumps(about).decode())
