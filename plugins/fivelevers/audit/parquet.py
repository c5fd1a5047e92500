"""The rows of a Parquet file, a few hundred at a time, with values as JSON has them.

Columns may be nested, or hold JSON as text. Of a structure, what is null is left out: Parquet gives each row the fields
of all rows. Read by pyarrow, in one thread: large files are read apart by several processes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

import orjson

from fivelevers.audit.calls import Account, Reason
from fivelevers.audit.opened import ByteFile, need_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC: Final = b"PAR1"

_ROWS_AT_ONCE = 256
_BUFFER = 2**20  # bytes of a column that are read at once: without it, all of a row group's
_JSON: Final = frozenset({str, int, bool, type(None)})


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups of a file, from ``start`` up to ``end``; ``size``: their bytes in the file."""

    start: int
    end: int
    size: int


def row_groups(name: str, part_bytes: int) -> list[RowGroups]:
    """A file's row groups, as many together as have so many bytes; empty where its index is damaged.

    Raises AuditError.
    """
    with Path(name).open("rb") as file, ExitStack() as stack:
        found = _opened(name, file, stack)
        if found is None:
            return []
        parts, start, size = [], 0, 0
        for group in range(found.num_row_groups):
            size += _size(found, group)
            if size >= part_bytes or group == found.num_row_groups - 1:
                parts.append(RowGroups(start, group + 1, size))
                start, size = group + 1, 0
        return parts


def values(
    name: str, file: ByteFile, account: Account, groups: RowGroups | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of all rows, or of these groups'; what is damaged goes to the account. Raises AuditError."""
    with ExitStack() as stack:
        parquet = _opened(name, file if file.seekable() else _copied(file, stack), stack)
        if parquet is None:
            account.rows += 1
            account.leave(Reason.NO_PARQUET, name)
            return
        of_json = _json_columns(parquet)
        start, end = (groups.start, groups.end) if groups else (0, parquet.num_row_groups)
        number = sum(parquet.metadata.row_group(group).num_rows for group in range(start))
        for group in range(start, end):
            until = number + parquet.metadata.row_group(group).num_rows
            try:
                for batch in parquet.iter_batches(_ROWS_AT_ONCE, row_groups=[group], use_threads=False):
                    for row in _rows(batch, of_json):
                        number += 1
                        yield f"{name}, row {number}", row
            except Exception as error:
                if not _of_the_file(error):
                    raise
                lost = max(until - number, 1)
                account.rows += lost
                account.leave(Reason.NO_PARQUET, f"{name}, row {number + 1}", lost)
            number = until


def _opened(name: str, file: Any, stack: ExitStack) -> pq.ParquetFile | None:
    need_pyarrow(name, "is Parquet, which is read by pyarrow")
    import pyarrow.parquet as pq

    try:
        return stack.enter_context(pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False))
    except Exception as error:
        if not _of_the_file(error):
            raise
        return None


def _of_the_file(error: Exception) -> bool:
    """Whether pyarrow says so of the file's bytes: as an error of its own, a text that is none, or an OSError that is
    not the disk's.
    """
    import pyarrow as pa

    return isinstance(error, (pa.ArrowException, UnicodeDecodeError)) or (
        isinstance(error, OSError) and error.errno is None
    )


def _copied(file: ByteFile, stack: ExitStack) -> Any:
    """Parquet is read from its end."""
    copy = stack.enter_context(TemporaryFile())  # noqa: SIM115  # the stack closes
    shutil.copyfileobj(file, copy)
    return copy


def _size(parquet: pq.ParquetFile, group: int) -> int:
    found = parquet.metadata.row_group(group)
    return sum(found.column(column).total_compressed_size for column in range(found.num_columns))


def _json_columns(parquet: pq.ParquetFile) -> frozenset[str]:
    """Columns that the file says are JSON, as DuckDB writes them: there a text is in quotes."""
    columns = (parquet.schema.column(number) for number in range(len(parquet.schema)))
    return frozenset(column.path for column in columns if column.logical_type.type == "JSON")


def _rows(batch: pa.RecordBatch, of_json: frozenset[str]) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    columns = [
        _parsed(_column(column)) if name in of_json else map(_plain, _column(column))
        for name, column in zip(names, batch.columns, strict=True)
    ]
    for row in zip(*columns, strict=True):
        yield {name: value for name, value in zip(names, row, strict=True) if value is not None}


def _parsed(column: list[Any]) -> Iterator[Any]:
    for value in column:
        try:
            yield None if value is None else orjson.loads(value)
        except ValueError:
            yield _plain(value)


def _column(column: pa.Array) -> list[Any]:
    import pyarrow as pa

    coarse = _in_microseconds(column.type)
    if coarse != column.type:
        column = column.cast(coarse, safe=False)
    try:
        found: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError, pa.ArrowException):
        return [_value(scalar) for scalar in column]
    return found


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    """The type, with times that Python can hold: pandas writes nanoseconds."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_microseconds(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    return kind


def _value(scalar: pa.Scalar) -> Any:
    """A value of a column of which one can not be told: text that is no UTF-8, or a time that is none."""
    try:
        return scalar.as_py(maps_as_pydicts="lossy")
    except UnicodeDecodeError:
        return scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else None
    except (ValueError, OverflowError):
        return None


def _plain(value: Any) -> Any:
    """As JSON would have it."""
    if type(value) in _JSON:
        return value
    if isinstance(value, dict):
        return {str(name): plain for name, inner in value.items() if (plain := _plain(inner)) is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return _number(value) if isinstance(value, (float, Decimal)) else str(value)


def _number(value: float | Decimal) -> int | float | None:
    if not math.isfinite(value):
        return None
    return int(value) if isinstance(value, Decimal) and value == int(value) else float(value)
