"""One log in every form gives the same calls; Parquet that is damaged gives an account of what was lost."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fivelevers.audit import apart, opened
from fivelevers.audit.calls import Account, LoggedCall, Reason
from fivelevers.audit.parquet import row_groups
from fivelevers.audit.rows import rows
from fivelevers.audit.sources import Sources
from fivelevers.errors import AuditError
from tests.unit.audit.logged import pack, read_all, write
from tests.unit.audit.test_read import BODY, CALLBACK, EXCHANGE, SPEND

NESTED = {**EXCHANGE, "request": {**BODY, "tools": [{"type": "function", "function": {"name": "f"}}], "stop": ["."]}}


def save(path: Path, found: Iterable[dict[str, Any]], **options: Any) -> Path:
    """Nested as it is; Parquet has no structure without a field."""
    kept = [{name: "{}" if value == {} else value for name, value in row.items()} for row in found]
    pq.write_table(pa.Table.from_pylist(kept), path, **options)
    return path


def log(row: dict[str, Any], count: int = 40) -> list[dict[str, Any]]:
    """The same row at other times, of other sizes, now and then with a field that others lack."""
    rng, made = random.Random(2), []
    for number in range(count):
        at = datetime.fromtimestamp(1.79e9 + number, UTC).isoformat()
        output = rng.randrange(1, 300)
        one = {**row, "startTime": at} if "startTime" in row else {**row, "timestamp": at}
        if "completion_tokens" in row:
            one["completion_tokens"] = output
        made.append({**one, **({"team_id": "night"} if number % 7 == 0 else {})})
    return made


def without_place(calls: Iterable[LoggedCall]) -> list[LoggedCall]:
    return [replace(call, place="") for call in calls]


def as_csv(path: Path, found: list[dict[str, Any]]) -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, sorted({name for row in found for name in row}))
    writer.writeheader()
    writer.writerows({k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in row.items()} for row in found)
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("row", [SPEND, CALLBACK, EXCHANGE, NESTED], ids=["spend", "callback", "exchange", "nested"])
def test_one_log_in_every_form(tmp_path: Path, row: dict[str, Any]) -> None:
    found = log(row)
    as_text = [{k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in one.items()} for one in found]
    times = "startTime" if "startTime" in found[0] else "timestamp"
    as_times = [{**one, times: datetime.fromisoformat(one[times])} for one in found]
    array = tmp_path / "log.json"
    array.write_text(json.dumps(found), encoding="utf-8")
    nanoseconds = tmp_path / "nanoseconds.parquet"
    table = pq.read_table(save(tmp_path / "times.parquet", as_times))
    table = table.set_column(
        table.schema.get_field_index(times), times, table[times].cast(pa.timestamp("ns", "Europe/Berlin"))
    )
    pq.write_table(table, nanoseconds)
    expected, _ = read_all(write(tmp_path / "log.jsonl", found))
    assert len(expected) == len(found)
    for path in (
        write(tmp_path / "log.jsonl.gz", found),
        write(tmp_path / "log.jsonl.zst", found),
        array,
        as_csv(tmp_path / "log.csv", found),
        save(tmp_path / "nested.parquet", found),
        save(tmp_path / "text.parquet", as_text),
        save(tmp_path / "times.parquet", as_times, row_group_size=7, compression="zstd"),
        nanoseconds,
    ):
        calls, account = read_all(path)
        assert without_place(calls) == without_place(expected), path.name
        assert not account.left


def test_values_are_those_of_json(tmp_path: Path) -> None:
    kinds = pa.schema(
        [
            ("map", pa.map_(pa.string(), pa.int64())),
            ("decimal", pa.decimal128(10, 2)),
            ("whole", pa.decimal128(20, 0)),
            ("day", pa.date32()),
            ("bytes", pa.binary()),
            ("nothing", pa.float64()),
            ("times", pa.list_(pa.struct([("at", pa.timestamp("ns"))]))),
            ("word", pa.dictionary(pa.int32(), pa.string())),
            ("quoted", pa.json_()),  # a JSON column of DuckDB's
        ]
    )
    row = {
        "map": [("input", 3), ("output", 4)],
        "decimal": Decimal("1.25"),
        "whole": Decimal(7),
        "day": date(2026, 11, 1),
        "bytes": b'{"a": 1}\xff',
        "nothing": float("nan"),
        "times": [{"at": 1_793_000_000_123_456_789}],
        "word": "a",
        "quoted": '"a"',
    }
    pq.write_table(pa.Table.from_pylist([row], kinds), tmp_path / "log.parquet")
    ((place, found),) = rows(str(tmp_path / "log.parquet"), Account())
    assert place.endswith("log.parquet, row 1")
    assert found == {
        "map": {"input": 3, "output": 4},
        "decimal": 1.25,
        "whole": 7,
        "day": "2026-11-01",
        "bytes": '{"a": 1}\ufffd',
        "times": [{"at": "2026-10-26T07:33:20.123456"}],
        "word": "a",
        "quoted": "a",
    }


def test_text_that_is_no_utf_8_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    raw = pa.array([b"fine", b"caf\xe9", None])
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"said": text, "n": [1, 2, 3]}), tmp_path / "log.parquet")
    found = [row for _, row in rows(str(tmp_path / "log.parquet"), Account())]
    assert found == [{"said": "fine", "n": 1}, {"said": "caf\ufffd", "n": 2}, {"n": 3}]


def test_standard_input_and_a_packed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "log.parquet", log(SPEND))
    expected, _ = read_all(path)
    packed = tmp_path / "log.parquet.gz"
    packed.write_bytes(pack(path.read_bytes(), ".gz"))
    assert without_place(read_all(packed)[0]) == without_place(expected)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(path.read_bytes())))
    account = Account()
    assert len(list(rows("-", account))) == len(expected)


def test_a_folder_of_partitions(tmp_path: Path) -> None:
    """Their columns stand in the paths alone, escaped; what begins with an underscore or a dot is none of theirs."""
    spent = log(SPEND)
    for one in spent:
        del one["model_group"]
    for day, alias, part in (("2026-11-01", "gpt%2F4", spent[:15]), ("2026-11-02", "fast", spent[15:])):
        folder = tmp_path / "logs" / f"date={day}" / f"model_group={alias}"
        folder.mkdir(parents=True)
        save(folder / "part-0.parquet", part)
        (folder / "_SUCCESS").write_text("no row")
        (folder / ".part-0.parquet.crc").write_bytes(b"crc")
    account = Account()
    with Sources.of([str(tmp_path / "logs")]).reading() as calls:
        found = list(calls(account, lambda _: None))
    assert [call.alias for call in found] == ["gpt/4"] * 15 + ["fast"] * 25
    assert not account.left
    by_glob = Sources.of([str(tmp_path / "logs" / "date=*"), str(tmp_path / "logs/date=2026-11-01")])
    assert len(by_glob.names) == 2  # each file once, however often it is named


@pytest.mark.parametrize(("mark", "kind"), [("_delta_log", "Delta"), (".hoodie", "Hudi")])
def test_tables_that_keep_old_versions_are_refused(tmp_path: Path, mark: str, kind: str) -> None:
    (tmp_path / mark).mkdir()
    save(tmp_path / "part-0.parquet", log(SPEND))
    with pytest.raises(AuditError, match=f"is a table of {kind}"):
        Sources.of([str(tmp_path)])


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="is a folder without files"):
        Sources.of([str(tmp_path)])


def test_large_files_are_read_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "log.parquet", log(EXCHANGE, 300), row_group_size=20)
    groups = row_groups(str(path), 1)
    assert [(part.start, part.end) for part in groups] == [(n, n + 1) for n in range(15)]
    assert row_groups(str(path), 10**9) == [type(groups[0])(0, 15, sum(part.size for part in groups))]

    def read() -> tuple[list[LoggedCall], Account]:
        account = Account()
        with Sources.of([str(path)]).reading() as calls:
            return list(calls(account, lambda _: None)), account

    alone = read()
    assert len(alone[0]) == 300
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "_PART_BYTES", groups[0].size * 3)
    monkeypatch.setattr(apart, "cores", lambda: 2)
    assert read() == alone


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    path = save(tmp_path / "log.parquet", log(SPEND))
    path.write_bytes(path.read_bytes()[:-100])
    calls, account = read_all(path)
    assert (calls, account.rows, account.left[Reason.NO_PARQUET].rows) == ([], 1, 1)
    assert row_groups(str(path), 1) == []


def test_a_damaged_row_group_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    path = save(tmp_path / "log.parquet", log(SPEND), row_group_size=10, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = (
        b"\xff" * column.total_compressed_size
    )
    path.write_bytes(data)
    calls, account = read_all(path)
    assert (len(calls), account.rows) == (30, 40)
    assert (account.left[Reason.NO_PARQUET].rows, account.left[Reason.NO_PARQUET].first[-6:]) == (10, "row 11")


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "find_spec", lambda _: None)
    with pytest.raises(AuditError, match=r"is Parquet.*pip install 'fivelevers\[logs\]'"):
        read_all(save(tmp_path / "log.parquet", log(SPEND)))
