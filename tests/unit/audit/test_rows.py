"""Log files of every shape give their rows, and broken ones an account of what was lost."""

from __future__ import annotations

import gzip
import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fivelevers.audit import opened
from fivelevers.audit import rows as module
from fivelevers.audit.calls import Account, Reason
from fivelevers.audit.rows import rows
from fivelevers.errors import AuditError
from tests.unit.audit.logged import pack

ROWS = [{"n": n, "text": "ä" * n} for n in range(5)]


def read(path: Path) -> tuple[list[Any], Account]:
    account = Account()
    return [row for _, row in rows(str(path), account)], account


def lines(values: list[Any]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


@pytest.mark.parametrize(
    "text",
    [
        lines(ROWS),
        "\ufeff" + lines(ROWS),
        lines(ROWS).replace("\n", "\r\n\r\n"),
        lines(ROWS).strip(),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"data": ROWS, "total": 5}, indent=2),
        "".join(json.dumps(row, indent=1) for row in ROWS),
    ],
    ids=["lines", "BOM", "CRLF", "no last newline", "array", "printed array", "page", "printed documents"],
)
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_json_of_every_layout(tmp_path: Path, text: str, suffix: str) -> None:
    file = tmp_path / "log"  # what it is packed with is told from its bytes
    file.write_bytes(pack(text.encode(), suffix))
    found, account = read(file)
    assert found == ROWS
    assert (account.rows, account.left) == (5, {})


def test_values_across_the_edges_of_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 16)
    for text in (json.dumps(ROWS), json.dumps(ROWS, indent=3)):
        (tmp_path / "log").write_text(text)
        assert read(tmp_path / "log")[0] == ROWS


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('\ufeffa; b\n1;"two\nlines"\n3;4\n', encoding="utf-8")
    account = Account()
    found = list(rows(str(tmp_path / "log.csv"), account))
    assert [row for _, row in found] == [{"a": "1", "b": "two\nlines"}, {"a": "3", "b": "4"}]
    assert [place.rpartition(":")[2] for place, _ in found] == ["2", "4"]


def test_damaged_lines_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(
        lines(ROWS[:2]).encode() + b'{"n": \xff\xfe}\n{"cut": 1\n[1]\n' + lines(ROWS[2:]).encode()
    )
    found, account = read(tmp_path / "log")
    assert found == ROWS
    assert account.rows == 8
    assert (account.left[Reason.NOT_JSON].rows, account.left[Reason.NO_OBJECT].rows) == (2, 1)
    assert account.left[Reason.NOT_JSON].first.endswith("log:3")


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_ROW", 100)
    (tmp_path / "log").write_text(lines([ROWS[0], {"text": "x" * 350}, ROWS[1]]))
    found, account = read(tmp_path / "log")
    assert found == ROWS[:2]
    assert account.left[Reason.TOO_LONG].rows == 1


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_file_that_breaks_off(tmp_path: Path, suffix: str) -> None:
    packed = pack(lines([{"n": n, "noise": sha256(b"%d" % n).hexdigest()} for n in range(20_000)]).encode(), suffix)
    (tmp_path / "log").write_bytes(packed[: len(packed) // 2])
    found, account = read(tmp_path / "log")
    assert 0 < len(found) < 20_000
    assert account.left[Reason.CUT_OFF].rows == 1
    assert account.rows == len(found) + sum(left.rows for left in account.left.values())


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_packed_files_one_after_the_other_in_one(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "log").write_bytes(pack(lines(ROWS[:2]).encode(), suffix) + pack(lines(ROWS[2:]).encode(), suffix))
    assert read(tmp_path / "log")[0] == ROWS


def test_an_array_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "array").write_text(json.dumps(ROWS)[:-10])
    found, account = read(tmp_path / "array")
    assert found == ROWS[:4]
    assert account.left[Reason.NOT_JSON].rows == 1


def test_zstd_without_pyarrow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "find_spec", lambda _: None)
    (tmp_path / "log.zst").write_bytes(pack(b"{}", ".zst"))
    with pytest.raises(
        AuditError, match=r"pip install 'fivelevers\[logs\]', or .*zstd -dc .*log.zst \| fivelevers audit -"
    ):
        read(tmp_path / "log.zst")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(lines(ROWS).encode(), suffix))))
    assert [row for _, row in rows("-", Account())] == ROWS


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_progress_is_told_of_every_byte_on_the_disk(tmp_path: Path, suffix: str) -> None:
    told: list[int] = []
    (tmp_path / "log").write_bytes(pack(lines(ROWS).encode(), suffix))
    list(rows(str(tmp_path / "log"), Account(), told.append))
    assert sum(told) == (tmp_path / "log").stat().st_size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@example(b"\x1f\x8b")
@example(gzip.compress(b"{}")[:-1])
@example(pack(b"{}", ".zst")[:-1])
@example(b"\x28\xb5\x2f\xfd rest")
@example(b'"')
def test_no_bytes_raise(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    try:
        found, account = read(tmp_path / "log")
    except AuditError:
        return
    assert account.rows == len(found) + sum(left.rows for left in account.left.values())
