"""Who runs a stack in a state directory: a file with the process id, locked for as long as that process lives."""

import fcntl
import os
from pathlib import Path
from typing import IO

from fivelevers.errors import StackError

_FILE = "stack.pid"


class Claim:
    """A state directory held by this process until `release()`, or until the process ends in whatever way."""

    def __init__(self, state_dir: Path) -> None:
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (state_dir / _FILE).open("a+")
        except OSError as error:
            raise StackError(f"state directory {state_dir}: {error.strerror}; give another with --state-dir") from error
        if not _locked(self._file):
            pid = _read_pid(self._file)
            self._file.close()
            raise StackError(
                f"state directory {state_dir}: a stack runs here already (pid {pid});"
                f" stop it with `fivelevers down --state-dir {state_dir}`, or give another --state-dir"
            )
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def holder(state_dir: Path) -> int | None:
    """Process id of whoever runs a stack in this directory, None when nobody does."""
    try:
        with (state_dir / _FILE).open("r+") as file:
            return None if _locked(file) else _read_pid(file)
    except FileNotFoundError:
        return None


def _locked(file: IO[str]) -> bool:
    """Take the lock if it is free. The kernel frees it when the process dies, so there are no stale ones."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(file: IO[str]) -> int:
    file.seek(0)
    return int(file.read() or 0)
