"""The bytes of an export as flat rows, whether it is CSV, JSON lines or the JSON pages of an admin API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fivelevers.errors import ExportError

_AS_DOWNLOADED = "use the export as it was downloaded"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a CSV, one result of a bucket or one log record; ``place`` says where it stands in its file."""

    place: str
    values: Mapping[str, Any]

    def text(self, *names: str) -> str | None:
        """The first of these fields that is not empty."""
        for name in names:
            value = self.values.get(name)
            if value is not None and value != "":
                return str(value)
        return None

    def tokens(self, *names: str) -> int:
        """A count of tokens, 0 where the field is empty; spreadsheets write `59200.0`."""
        value = self._number(*names)
        if value != value.to_integral_value() or value < 0:
            raise self.error(names[0], str(value), "is no count of tokens", _AS_DOWNLOADED)
        return int(value)

    def usd(self, *names: str) -> Decimal:
        return self._number(*names)

    def at(self, *names: str) -> float:
        """Seconds since the epoch, from a number or an ISO date; without an offset it is UTC."""
        text = self.text(*names)
        if text is None:
            raise self.error(names[0], None, "is missing", _AS_DOWNLOADED)
        try:
            return float(text)
        except ValueError:
            return self._iso(names[0], text)

    def error(self, field: str, value: object, rule: str, fix: str) -> ExportError:
        return ExportError.of(field, value, rule, fix, file=self.place)

    def _iso(self, name: str, text: str) -> float:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise self.error(name, text, "is neither seconds nor an ISO date", _AS_DOWNLOADED) from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def _number(self, *names: str) -> Decimal:
        text = self.text(*names)
        try:
            number = Decimal(text or 0)
        except InvalidOperation as error:
            raise self.error(names[0], text, "is not a number", _AS_DOWNLOADED) from error
        if not number.is_finite():
            raise self.error(names[0], text, "is not a number", _AS_DOWNLOADED)
        return number


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a file, empty buckets too (they say that a day was empty). ``cut``: the API has further pages."""

    file: str
    rows: tuple[Row, ...]
    cut: bool = False

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(name for row in self.rows for name in row.values)


def decode(data: bytes, file: str) -> Table:
    """Raises ExportError where the bytes are none of these."""
    text = data.decode("utf-8-sig", errors="replace").strip()
    table = _json_table(text, file) if text[:1] in ("{", "[") else Table(file, tuple(_csv_rows(text, file)))
    if not table.rows:
        raise ExportError.of("export", None, "holds no rows", "export a period with traffic", file=file)
    return table


def _csv_rows(text: str, file: str) -> Iterator[Row]:
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    for values in reader:
        yield Row(f"{file}:{reader.line_num}", {(name or "").strip(): value for name, value in values.items()})


def _json_table(text: str, file: str) -> Table:
    try:
        documents = [json.loads(text, parse_float=Decimal)]
    except ValueError:
        documents = [_json_line(line, f"{file}:{n}") for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    records = [each for one in documents for each in (one if isinstance(one, list) else [one])]
    rows = [row for n, record in enumerate(records, 1) for row in _record_rows(record, f"{file}, record {n}")]
    return Table(file, tuple(rows), cut=_cut(records))


def _json_line(line: str, place: str) -> Any:
    try:
        return json.loads(line, parse_float=Decimal)
    except ValueError as error:
        raise ExportError.of("export", None, f"is no JSON ({error})", _AS_DOWNLOADED, file=place) from error


def _cut(records: list[Any]) -> bool:
    return bool(records) and isinstance(records[-1], dict) and records[-1].get("has_more") is True


def _record_rows(record: Any, place: str) -> Iterator[Row]:
    """A page of buckets gives a row for each result, with its bucket's times; anything else is a row itself."""
    if not isinstance(record, dict):
        raise ExportError.of("export", record, "is not a JSON object", _AS_DOWNLOADED, file=place)
    data = record.get("data")
    if not isinstance(data, list):
        yield Row(place, record)
        return
    for n, bucket in enumerate(data):
        times = {name: value for name, value in bucket.items() if name not in ("results", "result")}
        results: list[Any] = bucket.get("results") or bucket.get("result") or [{}]
        yield from (Row(f"{place}, data[{n}].results[{at}]", times | result) for at, result in enumerate(results))
