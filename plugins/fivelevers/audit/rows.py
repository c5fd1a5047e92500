"""The rows of a log file, one at a time: JSON lines, a JSON array, or CSV; plain or gzip. Nothing is held in memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

import orjson

from fivelevers.audit.calls import Account, Reason
from fivelevers.errors import AuditError

STDIN = "-"
LONGEST_ROW = 64 * 2**20
_CHUNK = 2**20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"

_File: TypeAlias = "io.BufferedReader[Any]"
Record = Mapping[str, Any]
Progress = Callable[[int], None]
"""Told how many bytes of the file, as it lies on the disk, were read since it was told last."""


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file of JSON lines: bytes from ``start`` to ``end``, after so many ``lines``."""

    start: int
    end: int
    lines: int


def parts(name: str, part_bytes: int) -> list[Part]:
    """A plain file of JSON lines, cut at ends of lines; empty where it is no such file. Raises OSError."""
    with Path(name).open("rb") as file:
        start = file.peek(_CHUNK)[:_CHUNK]
        if start.startswith((_GZIP, _ZSTD)) or _format(start) is not _lines:
            return []
        found, at, lines = [], 0, 0
        while block := file.read(part_bytes):
            block += file.readline()
            found.append(Part(at, at + len(block), lines))
            at, lines = at + len(block), lines + block.count(b"\n")
        return found


def rows(
    name: str, account: Account, progress: Progress = lambda _: None, part: Part | None = None
) -> Iterator[tuple[str, Record]]:
    """(place, record) of each row of a file, or of standard input for ``-``. What is no record goes to the account.

    ``part``: these rows of it alone. Raises AuditError where the file can not be opened, and OSError.
    """
    with _opened(name, progress, part) as file:
        try:
            read = _format(file.peek(_CHUNK)[:_CHUNK]) if part is None else partial(_lines, number=part.lines)
            for place, value in read(name, file, account):
                account.rows += 1
                if isinstance(value, dict):
                    yield place, value
                else:
                    account.leave(Reason.NO_OBJECT, place)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            account.rows += 1
            account.leave(Reason.CUT_OFF, name)


def _format(start: bytes) -> Callable[[str, _File, Account], Iterator[tuple[str, Any]]]:
    """What reads a file that begins so."""
    start = start.removeprefix(_BOM).lstrip()
    if start[:1] not in (b"[", b"{"):
        return _csv
    if start[:1] == b"[" or not _is_object(start.partition(b"\n")[0]):
        return _values
    return _lines


@contextmanager
def _opened(name: str, progress: Progress, part: Part | None) -> Iterator[_File]:
    raw = sys.stdin.buffer if name == STDIN else Path(name).open("rb")  # noqa: SIM115  # closed with what wraps it
    if part is not None:
        raw.seek(part.start)
    with io.BufferedReader(_Counted(raw, progress, part.end - part.start if part else None)) as counted:
        magic = counted.peek(4)[:4]
        if magic.startswith(_ZSTD):
            fix = f"unpack it on the way: zstd -dc {name} | fivelevers audit -"
            raise AuditError.of("log", name, "is compressed with zstd, which this Python can not read", fix)
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=counted) as unpacked:
                yield io.BufferedReader(unpacked)
        else:
            yield counted


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


def _is_object(line: bytes) -> bool:
    """Whether the first line stands by itself; one that the look ahead cuts off is taken for a line, as logs are."""
    if len(line) >= _CHUNK - len(_BOM):
        return True
    try:
        return isinstance(orjson.loads(line), dict)
    except ValueError:
        return b'"' in line  # `{` alone on its line opens a printed document


def _lines(name: str, file: _File, account: Account, number: int = 0) -> Iterator[tuple[str, Any]]:
    while line := file.readline(LONGEST_ROW):
        number += 1
        place = f"{name}:{number}"
        if len(line) == LONGEST_ROW and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_ROW)) and not rest.endswith(b"\n"):
                pass
            account.rows += 1
            account.leave(Reason.TOO_LONG, place)
        elif line.strip():
            try:
                yield place, orjson.loads(line.removeprefix(_BOM) if number == 1 else line)
            except ValueError:
                account.rows += 1
                account.leave(Reason.NOT_JSON, place)


def _values(name: str, file: _File, account: Account) -> Iterator[tuple[str, Any]]:
    """The elements of an array, or documents one after the other; what an API wraps into ``data`` is unwrapped."""
    number = 0
    for value in _decoded(io.TextIOWrapper(file, "utf-8-sig", errors="replace")):
        if value is _BROKEN:
            account.rows += 1
            account.leave(Reason.NOT_JSON, f"{name}, record {number + 1}")
            return
        wrapped = value.get("data") if isinstance(value, dict) else None
        for one in wrapped if isinstance(wrapped, list) else [value]:
            number += 1
            yield f"{name}, record {number}", one


_BROKEN = object()  # here and behind it nobody can tell where the next value begins
_BETWEEN = re.compile(r"[\s,\[\]]*")  # between values, of an array or not


def _decoded(text: io.TextIOWrapper) -> Iterator[Any]:
    decode, chunk = json.JSONDecoder().raw_decode, _CHUNK
    held, at = text.read(chunk), 0
    while held:
        at = _end_of_gap(held, at)
        try:
            value, at = decode(held, at)
        except ValueError:
            more = text.read(chunk) if len(held) - at < LONGEST_ROW else ""
            if not more:
                if at < len(held):
                    yield _BROKEN
                return
            held, at, chunk = held[at:] + more, 0, chunk * 2  # doubled, or a long value is tried for each of its chunks
        else:
            chunk = _CHUNK
            yield value


def _end_of_gap(held: str, at: int) -> int:
    gap = _BETWEEN.match(held, at)
    return gap.end() if gap else at


def _csv(name: str, file: _File, account: Account) -> Iterator[tuple[str, Any]]:
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
    header = text.readline()
    csv.field_size_limit(LONGEST_ROW)
    delimiter = max(",;\t", key=header.count)
    names = [field.strip() for field in next(csv.reader([header], delimiter=delimiter), [])]
    reader = csv.DictReader(text, names, delimiter=delimiter, restkey="")
    while True:
        try:
            yield f"{name}:{reader.line_num + 2}", next(reader)
        except StopIteration:
            return
        except csv.Error:
            account.rows += 1
            account.leave(Reason.NOT_CSV, f"{name}:{reader.line_num + 1}")
