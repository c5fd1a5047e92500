"""Files of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fivelevers.errors import CalibrationError


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """(FILE:NUMBER, text) of each line that is not blank. A line feed alone ends one: other breaks may stand in texts.

    Raises CalibrationError where a line is not UTF-8, OSError.
    """
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            yield f"{path}:{number}", _decoded(f"{path}:{number}", line)


def _decoded(place: str, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{place}: is not UTF-8 ({error.reason}); encode it so") from error
