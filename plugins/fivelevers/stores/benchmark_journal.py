"""What a benchmark has paid for, line by line, so that it is never asked again, whatever kills the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from fivelevers.errors import CalibrationError


class Journal:
    """Append-only JSON lines, one process at a time. A line that was being written when its process died is cut off.

    Raises CalibrationError where another process has it or a line is none, OSError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)  # answers stand in it
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.found = self._read()
        except BlockingIOError as error:
            os.close(self._file)
            raise CalibrationError(
                f"{path}: another benchmark writes to it; wait for it, or name another --out"
            ) from error
        except BaseException:
            os.close(self._file)
            raise

    def add(self, record: Mapping[str, Any]) -> None:
        """On the disk when this returns. Raises OSError."""
        line = orjson.dumps(record) + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _read(self) -> list[dict[str, Any]]:
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.ftruncate(self._file, whole)
        return [self._record(line, number) for number, line in enumerate(text[:whole].splitlines(), 1)]

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise CalibrationError(f"{self.path}:{number}: is no record of a benchmark; name another --out")
        return found
