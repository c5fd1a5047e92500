"""Text in UTF-16 or UTF-32, as Windows tools write it, comes as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import Any, Final

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # it begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    # Without one: how JSON begins.
    (b"{\0", "utf-16-le"),
    (b"[\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
    (b"\0[", "utf-16-be"),
)
_CHUNK: Final = 2**16


def encoding_of(start: bytes) -> str | None:
    """None: neither of the two."""
    return next((encoding for mark, encoding in _BOMS if start.startswith(mark)), None)


def in_utf_8(file: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    """The same file, where it is in neither of the two."""
    encoding = encoding_of(file.peek(4)[:4])
    return file if encoding is None else io.BufferedReader(_InUtf8(file, encoding))


class _InUtf8(io.RawIOBase):
    def __init__(self, file: io.BufferedReader[Any], encoding: str) -> None:
        self._file, self._decoder = file, codecs.getincrementaldecoder(encoding)(errors="replace")
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = None
        while not self._left and chunk != b"":
            chunk = self._file.read(_CHUNK)
            self._left = self._decoder.decode(chunk, final=not chunk).encode("utf-8", "replace")
        found, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)
