"""Broken logs of every kind give an account of what was read, and nothing else: no traceback, no row without a word."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from fivelevers.audit.calls import Account, Reason
from fivelevers.cli import app
from fivelevers.errors import AuditError
from tests.unit.audit.logged import pack, read_all, write
from tests.unit.audit.test_langfuse import API, BLOB, as_csv, as_parquet
from tests.unit.audit.test_parquet import log, save
from tests.unit.audit.test_read import CALLBACK, EXCHANGE, SPEND

LINES = log(EXCHANGE, 6)
TEXT = "".join(json.dumps(row) + "\n" for row in LINES)
NESTED = '{"a":' * 3000 + "1" + "}" * 3000


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A log of each kind, whole."""
    folder = tmp_path_factory.mktemp("good")
    made = {
        "lines": write(folder / "lines", LINES + log(CALLBACK, 3) + log(SPEND, 3) + [API, BLOB]),
        "gzip": write(folder / "lines.gz", LINES),
        "zstd": write(folder / "lines.zst", LINES),
        "csv": as_csv(folder / "csv", API),
        "parquet": save(folder / "parquet", LINES, row_group_size=2),
        "parquet, packed": save(folder / "packed", log(SPEND, 6), row_group_size=3, compression="zstd"),
        "parquet of Langfuse": as_parquet(folder / "langfuse", BLOB),
    }
    found = {name: path.read_bytes() for name, path in made.items()}
    return found | {"array": json.dumps(LINES, indent=1).encode(), "UTF-16": TEXT.encode("utf-16")}


def accounted(path: Path) -> Account:
    calls, account = read_all(path)
    assert account.rows == len(calls) + sum(left.rows for left in account.left.values())
    assert account.calls == len(calls)
    return account


KINDS = ("lines", "gzip", "zstd", "csv", "parquet", "parquet, packed", "parquet of Langfuse", "array", "UTF-16")
edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["put", "cut", "insert"]), st.binary(max_size=9)),
    min_size=1,
    max_size=8,
)


def edited(data: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    """Some bytes are others, or gone, or new."""
    for where, what, some in edits:
        at = math.floor(where * len(data))
        data = data[:at] + (b"" if what == "cut" else some) + data[at + (0 if what == "insert" else len(some)) :]
    return data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(KINDS), edits)
def test_no_damage_is_more_than_an_entry_in_the_account(
    tmp_path: Path, good: dict[str, bytes], kind: str, damage: list[tuple[float, str, bytes]]
) -> None:
    (tmp_path / "log").write_bytes(edited(good[kind], damage))
    try:
        accounted(tmp_path / "log")
    except AuditError as error:
        assert "pip install" not in str(error)  # noqa: PT017  # all that is needed is here


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.sampled_from(KINDS), st.floats(0, 1))
def test_a_log_that_breaks_off_anywhere(tmp_path: Path, good: dict[str, bytes], kind: str, share: float) -> None:
    (tmp_path / "log").write_bytes(good[kind][: math.floor(share * len(good[kind]))])
    assert accounted(tmp_path / "log").calls <= 16


def test_the_whole_ones_are_read_whole(tmp_path: Path, good: dict[str, bytes]) -> None:
    assert set(good) == set(KINDS)
    for kind, data in good.items():
        (tmp_path / "log").write_bytes(data)
        account = accounted(tmp_path / "log")
        assert (account.calls, account.left) == (account.rows, {}), kind
        assert account.calls > 0


def broken(rows: int, reason: Reason | None, data: bytes, calls: int = 0) -> Any:
    return rows, calls, {} if reason is None else {reason: rows - calls}, data


@pytest.mark.parametrize(
    ("rows", "calls", "left", "data"),
    [
        broken(0, None, b""),
        broken(0, None, b"\n \r\n\0\0\n"),
        broken(6, None, TEXT.encode("utf-16"), 6),
        broken(6, None, TEXT.encode("utf-16-le"), 6),
        broken(6, None, TEXT.encode("utf-32"), 6),
        broken(6, None, b"\xef\xbb\xbf" + TEXT.encode(), 6),
        broken(1, None, json.dumps({**LINES[0], "by": "Zo\xeb"}, ensure_ascii=False).encode("latin-1") + b"\n", 1),
        broken(6, None, b"\0" * 5000 + TEXT.encode(), 6),
        broken(12, None, TEXT.encode() + b"\0" * 500 + b"\n" + TEXT.encode(), 12),
        broken(6, None, TEXT.replace('{"', '\x1e{"', 1).encode(), 6),
        broken(6, None, TEXT.replace('"timestamp"', '"cost": NaN, "timestamp"').encode(), 6),
        broken(6, None, TEXT.replace("Hi", "\\ud83d").encode(), 6),
        broken(7, Reason.NOT_JSON, TEXT.encode() + NESTED.encode(), 6),
        broken(1, Reason.NOT_JSON, b"[\n" + NESTED.encode() + b"," + TEXT.encode()),
        broken(1, Reason.NO_TEXT, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20),
        broken(1, Reason.NO_TEXT, gzip.compress(gzip.compress(TEXT.encode()))),
        broken(2, Reason.UNKNOWN, b"a,b\n1,2\n3\n"),
        broken(1, Reason.NO_TOKENS, b"timestamp,model,input\n1790000000,gpt-4.1\n"),
        broken(1, Reason.RAGGED, b"timestamp,model,input\n1790000000,gpt-4.1,Well, who knows\n"),
        broken(1, Reason.NO_TOKENS, b"timestamp,model,input\n1790000000,gpt-4.1,Hi,,\n"),
        broken(1, None, json.dumps({**EXCHANGE, "note": "x" * 10_000_000}).encode(), 1),
    ],
    ids=[
        "empty", "blank", "UTF-16", "UTF-16 without a BOM", "UTF-32", "BOM", "Latin-1", "zeros before", "zeros between",
        "JSON sequence", "NaN", "half of a surrogate pair", "deep line", "deep array", "picture", "packed twice",
        "another CSV", "fewer fields", "more fields", "more delimiters", "10 MB",
    ],
)  # fmt: skip
def test_what_is_read_of_it(tmp_path: Path, rows: int, calls: int, left: dict[Reason, int], data: bytes) -> None:
    (tmp_path / "log").write_bytes(data)
    account = accounted(tmp_path / "log")
    assert (account.rows, account.calls) == (rows, calls)
    assert {reason: some.rows for reason, some in account.left.items()} == left


@pytest.mark.parametrize("count", [-5, 10**9, 10**15, 1e300, 10**400, "many", True, 1.5, float("nan"), [7]])
def test_token_counts_that_can_not_be(tmp_path: Path, count: object) -> None:
    row = {**EXCHANGE, "response": {"usage": {"prompt_tokens": count, "completion_tokens": 5}}}
    account = accounted(write(tmp_path / "log.jsonl", [row]))
    assert {reason: left.rows for reason, left in account.left.items()} == {Reason.BAD_TOKENS: 1}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1970-01-01", "9999-12-31T23:59:59", 0, -1, 1e300, "soon"])
def test_times_that_can_not_be(tmp_path: Path, time: object) -> None:
    account = accounted(write(tmp_path / "log.jsonl", [{**EXCHANGE, "timestamp": time}]))
    assert {reason: left.rows for reason, left in account.left.items()} == {Reason.NO_TIME: 1}


def run(*logs: Path) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, logs)], env={"COLUMNS": "500"})


def test_a_mix_of_all_is_told_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(TEXT.encode() + b'<html>\n[1, 2]\n{"level": "info"}\na,b,c\n' + json.dumps(SPEND).encode() + b"\n")
    result = run(log, write(tmp_path / "cut.jsonl.gz", LINES))
    assert result.exit_code == 0, result.output
    assert "17 rows, 13 calls." in result.output
    assert f"Not read: 2 x no JSON (the first: {log}:7)." in result.output
    assert f"Not read: 1 x JSON, but no object (the first: {log}:8)." in result.output
    assert f"Not read: 1 x no known format (the first: {log}:9)." in result.output


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".parquet"])
def test_what_breaks_off_is_told_and_is_no_success_where_nothing_is_left(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix}"
    whole = save(path, LINES).read_bytes() if suffix == ".parquet" else pack(TEXT.encode(), suffix)
    path.write_bytes(whole[: len(whole) // 8])
    result = run(path)
    assert result.exit_code == 1, result.output
    assert "1 rows, 0 calls." in result.output
    assert f"breaks off (the first: {path})." in result.output.replace(" there", "")


def test_what_can_not_be_opened_is_told(tmp_path: Path) -> None:
    """An empty folder, what is not there, and what must not be read."""
    for path, said in ((tmp_path, "is a folder without files"), (tmp_path / "not", "is not there")):
        result = run(path)
        assert (result.exit_code, said in result.output) == (2, True), result.output
    result = run(write(tmp_path / "empty.jsonl", []))
    assert result.exit_code == 1
    assert "0 rows, 0 calls." in result.output
