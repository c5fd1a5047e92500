"""The bytes of a log (a file, a part of one, standard input): gzip and zstd come unpacked, text in UTF-8."""

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

from fivelevers.audit.encoded import in_utf_8
from fivelevers.errors import AuditError

STDIN: Final = "-"
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

    @property
    def size(self) -> int:
        return self.end - self.start


@contextmanager
def opened(name: str, progress: Progress = lambda _: None, part: Part | None = None) -> Iterator[ByteFile]:
    """Raises AuditError where it is packed with what can not be unpacked here, OSError, and here or as it is read
    EOFError, where it was packed and is damaged.
    """
    raw = sys.stdin.buffer if name == STDIN else Path(name).open("rb")  # noqa: SIM115  # closed with what wraps it
    if part is not None:
        raw.seek(part.start)
    with io.BufferedReader(_Counted(raw, progress, part.size if part else None)) as counted:
        magic = counted.peek(4)[:4]
        if part is not None:
            yield counted
        elif is_packed(magic):
            yield in_utf_8(io.BufferedReader(_Unpacked(_unpacking(name, counted, magic))))
        else:
            yield in_utf_8(counted)


def is_packed(start: bytes) -> bool:
    return start.startswith((_GZIP, _ZSTD))


def need_pyarrow(name: str, what: str, otherwise: str = "") -> None:
    """Raises AuditError where it is not installed."""
    if find_spec("pyarrow") is None:
        raise AuditError.of("log", name, what, f"pip install 'fivelevers[logs]'{otherwise}")


def _unpacking(name: str, packed: ByteFile, magic: bytes) -> IO[bytes]:
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=packed)  # type: ignore[return-value]  # it is one
    otherwise = f", or unpack it on the way: zstd -dc {name} | fivelevers audit -"
    need_pyarrow(name, "is packed with zstd, which is read by pyarrow", otherwise)
    import pyarrow

    # It tells a frame that breaks off from one that ends, which others do not.
    stream: IO[bytes] = pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, "r"), "zstd")
    return stream


class _Counted(io.RawIOBase):
    """A stream that tells how much was read from it, and ends after ``left`` bytes."""

    def __init__(self, stream: IO[bytes], progress: Progress, left: int | None) -> None:
        self._stream, self._progress, self._left = stream, progress, left

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._left is None and self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

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


class _Unpacked(io.RawIOBase):
    """What comes out of a stream that unpacks; raises EOFError where what goes in is cut off or damaged."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._stream.read(len(buffer))
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's
                raise
            raise EOFError(str(error)) from error
        buffer[: len(found)] = found
        return len(found)
