"""The rows of a log file, one at a time: JSON lines, a JSON array, CSV, or Parquet. Nothing is held in memory."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from fivelevers.audit import folders, parquet
from fivelevers.audit.calls import Account, Reason
from fivelevers.audit.encoded import encoding_of
from fivelevers.audit.opened import ByteFile, Part, Progress, is_packed, opened
from fivelevers.audit.parquet import RowGroups

LONGEST_ROW = 64 * 2**20
_CHUNK = 2**20
_BLANK = b" \t\r\n\0\x1e"  # a log that was cut while it was written to begins with zeros; a JSON sequence has 0x1e
_BOM = b"\xef\xbb\xbf"

Record = Mapping[str, Any]
_Values = Iterator[tuple[str, Any]]


def parts(name: str, part_bytes: int) -> Sequence[Part | RowGroups]:
    """A plain file of JSON lines, cut at ends of lines, or Parquet, cut between row groups; empty where it is neither.

    Raises AuditError, OSError.
    """
    with Path(name).open("rb") as file:
        start = file.peek(_CHUNK)[:_CHUNK]
        if start.startswith(parquet.MAGIC):
            return parquet.row_groups(name, part_bytes)
        if is_packed(start) or encoding_of(start) or _format(start) is not _lines:
            return []
        found, at, lines = [], 0, 0
        while block := file.read(part_bytes):
            block += file.readline()
            found.append(Part(at, at + len(block), lines))
            at, lines = at + len(block), lines + block.count(b"\n")
        return found


def rows(
    name: str, account: Account, progress: Progress = lambda _: None, part: Part | RowGroups | None = None
) -> Iterator[tuple[str, Record]]:
    """(place, record) of each row of a file, or of standard input for ``-``. What is no record goes to the account.

    ``part``: these rows of it alone. Raises AuditError where the file can not be opened, and OSError.
    """
    beside = folders.columns(name)
    try:
        with opened(name, progress, part if isinstance(part, Part) else None) as file:
            for place, value in _unwrapped(_reading(file, part)(name, file, account)):
                account.rows += 1
                if isinstance(value, dict):
                    yield place, {**beside, **value} if beside else value
                else:
                    account.leave(Reason.NO_OBJECT, place)
    except EOFError:
        account.rows += 1
        account.leave(Reason.CUT_OFF, name)


def _unwrapped(found: _Values) -> _Values:
    """What an API gives in pages, one by one."""
    for place, value in found:
        inner = value.get("data") if isinstance(value, dict) else None
        if isinstance(inner, list) and "usage" not in value:  # an answer with embeddings is no page
            yield from ((f"{place}, {number} of the page", one) for number, one in enumerate(inner, 1))
        else:
            yield place, value


def _reading(file: ByteFile, part: Part | RowGroups | None) -> Callable[[str, ByteFile, Account], _Values]:
    if part is None:
        return _format(file.peek(_CHUNK)[:_CHUNK])
    return partial(_lines, number=part.lines) if isinstance(part, Part) else partial(parquet.values, groups=part)


def _format(start: bytes) -> Callable[[str, ByteFile, Account], _Values]:
    """What reads a file that begins so."""
    if start.startswith(parquet.MAGIC):
        return parquet.values
    start = start.removeprefix(_BOM).lstrip(_BLANK)
    if start and start[:1] not in (b"[", b"{"):
        return _no_text if b"\0" in start else _csv
    if start[:1] == b"[" or not _is_object(start.partition(b"\n")[0]):
        return _values
    return _lines


def _is_object(line: bytes) -> bool:
    """Whether the first line stands by itself; one that the look ahead cuts off is taken for a line, as logs are."""
    if len(line) >= _CHUNK - len(_BOM):
        return True
    try:
        return isinstance(orjson.loads(line), dict)
    except ValueError:
        return b'"' in line  # `{` alone on its line opens a printed document


def _lines(name: str, file: ByteFile, account: Account, number: int = 0) -> _Values:
    while line := file.readline(LONGEST_ROW):
        number += 1
        place = f"{name}:{number}"
        if len(line) == LONGEST_ROW and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_ROW)) and not rest.endswith(b"\n"):
                pass
            account.rows += 1
            account.leave(Reason.TOO_LONG, place)
        elif line := (line.removeprefix(_BOM) if number == 1 else line).strip(_BLANK):
            value = _parsed(line)
            if value is _BROKEN:
                account.rows += 1
                account.leave(Reason.NOT_JSON, place)
            else:
                yield place, value


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        try:  # what Python writes and JSON has not (NaN, half of a surrogate pair), and bytes that are no UTF-8
            return json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return _BROKEN


def _values(name: str, file: ByteFile, account: Account) -> _Values:
    """The elements of an array, or documents one after the other."""
    for number, value in enumerate(_decoded(io.TextIOWrapper(file, "utf-8-sig", errors="replace")), 1):
        if value is _BROKEN:
            account.rows += 1
            account.leave(Reason.NOT_JSON, f"{name}, record {number}")
            return
        yield f"{name}, record {number}", value


_BROKEN = object()  # here and behind it nobody can tell where the next value begins
_BETWEEN = re.compile(r"[\s,\[\]\0]*")  # between values, of an array or not


def _decoded(text: io.TextIOWrapper) -> Iterator[Any]:
    decode, chunk = json.JSONDecoder().raw_decode, _CHUNK
    held, at = text.read(chunk), 0
    while held:
        at = _end_of_gap(held, at)
        try:
            value, at = decode(held, at)
        except RecursionError:
            yield _BROKEN
            return
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


def _no_text(name: str, _: ByteFile, account: Account) -> _Values:
    account.rows += 1
    account.leave(Reason.NO_TEXT, name)
    return iter(())


def _end_of_gap(held: str, at: int) -> int:
    gap = _BETWEEN.match(held, at)
    return gap.end() if gap else at


def _csv(name: str, file: ByteFile, account: Account) -> _Values:
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
    header = text.readline(_CHUNK)
    csv.field_size_limit(LONGEST_ROW)
    delimiter = max(",;\t", key=header.count)
    names = [field.strip() for field in next(csv.reader([header], delimiter=delimiter), [])]
    reader = csv.DictReader(text, names, delimiter=delimiter)
    while True:
        place = f"{name}:{reader.line_num + 2}"
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            account.rows += 1
            account.leave(Reason.NOT_CSV, place)
            continue
        if any(row.pop(None, None) or ()):  # what it holds stands under other names than its own
            account.rows += 1
            account.leave(Reason.RAGGED, place)
        else:
            yield place, row
