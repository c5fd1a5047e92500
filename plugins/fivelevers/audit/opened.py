"""The bytes of a log: a file, a part of one, or standard input; what is packed with gzip or zstd comes unpacked."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from fivelevers.errors import AuditError

STDIN: Final = "-"
CUT_OFF: Final = (EOFError, zlib.error, gzip.BadGzipFile)
"""What a packed log that is damaged raises as it is read."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

ByteFile: TypeAlias = "io.BufferedReader[Any]"
Progress = Callable[[int], None]
"""Told how many bytes of the file, as it lies on the disk, were read since it was told last."""


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file of JSON lines: bytes from ``start`` to ``end``, after so many ``lines``."""

    start: int
    end: int
    lines: int


@contextmanager
def opened(name: str, progress: Progress = lambda _: None, part: Part | None = None) -> Iterator[ByteFile]:
    """Raises AuditError where it is packed with what can not be unpacked here, and OSError."""
    raw = sys.stdin.buffer if name == STDIN else Path(name).open("rb")  # noqa: SIM115  # closed with what wraps it
    if part is not None:
        raw.seek(part.start)
    with io.BufferedReader(_Counted(raw, progress, part.end - part.start if part else None)) as counted:
        magic = counted.peek(4)[:4]
        if part is None and is_packed(magic):
            with _unpacked(name, counted, magic) as unpacked:
                yield io.BufferedReader(unpacked)
        else:
            yield counted


def is_packed(start: bytes) -> bool:
    return start.startswith((_GZIP, _ZSTD))


def need_pyarrow(name: str, what: str, otherwise: str = "") -> None:
    """Raises AuditError where it is not installed."""
    if find_spec("pyarrow") is None:
        raise AuditError.of("log", name, what, f"pip install 'fivelevers[logs]'{otherwise}")


def _unpacked(name: str, counted: ByteFile, magic: bytes) -> io.RawIOBase | gzip.GzipFile:
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=counted)
    otherwise = f", or unpack it on the way: zstd -dc {name} | fivelevers audit -"
    need_pyarrow(name, "is packed with zstd, which is read by pyarrow", otherwise)
    return _Zstd(counted)


class _Counted(io.RawIOBase):
    """A stream that tells how much was read from it, and ends after ``left`` bytes."""

    def __init__(self, stream: IO[bytes], progress: Progress, left: int | None) -> None:
        self._stream, self._progress, self._left = stream, progress, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer) if self._left is None else min(len(buffer), self._left))
        buffer[: len(found)] = found
        if self._left is not None:
            self._left -= len(found)
        self._progress(len(found))
        return len(found)

    def close(self) -> None:
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
        super().close()


class _Zstd(io.RawIOBase):
    """Unpacks frame after frame; raises EOFError where one is cut off or damaged."""

    def __init__(self, packed: ByteFile) -> None:
        import pyarrow

        self._stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, "r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._stream.read(len(buffer))
        except OSError as error:
            if error.errno is not None:  # of the disk; pyarrow's own have none
                raise
            raise EOFError(str(error)) from error
        buffer[: len(found)] = found
        return len(found)
