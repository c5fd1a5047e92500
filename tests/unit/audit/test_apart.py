"""A log that several processes read in parts gives what one process reads: the same calls, account and places."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from fivelevers.audit import apart, opened
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.opened import Part
from fivelevers.audit.rows import parts
from fivelevers.audit.sources import Sources
from fivelevers.errors import AuditError
from tests.unit.audit.logged import write
from tests.unit.audit.test_read import BODY, EXCHANGE

ROWS = 400


def rows() -> list[object]:
    """Out of order, with what is no JSON here and there, and lines of many lengths."""
    rng = random.Random(1)
    made: list[object] = []
    for number in range(ROWS):
        said = [*BODY["messages"], {"role": "user", "content": "word " * rng.randrange(200)}]
        made.append({**EXCHANGE, "request": {**BODY, "messages": said}, "timestamp": 1.79e9 + rng.randrange(10_000)})
        made += ["no json"] if number % 50 == 49 else []
    return made


def read(*names: Path) -> tuple[list[LoggedCall], Account]:
    account = Account()
    with Sources.of(map(str, names)).reading() as calls:
        return list(calls(account, lambda _: None)), account


def test_in_parts_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write(tmp_path / name, rows()) for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst")]
    files.append(tmp_path / "d.json")
    files[-1].write_text(json.dumps([EXCHANGE]), encoding="utf-8")
    alone, account = read(*files)
    assert len(alone) == 3 * ROWS + 1
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "_PART_BYTES", 10_000)
    monkeypatch.setattr(apart, "cores", lambda: 3)
    together, account_together = read(*files)
    assert together == alone
    assert account_together == account


def test_parts_are_whole_lines(tmp_path: Path) -> None:
    log = write(tmp_path / "a.jsonl", rows())
    found, data = parts(str(log), 7000), log.read_bytes()
    assert len(found) > 5
    assert b"".join(data[part.start : part.end] for part in found) == data
    assert all(isinstance(part, Part) and data[: part.start].count(b"\n") == part.lines for part in found)
    assert parts(str(write(tmp_path / "a.jsonl.gz", rows())), 7000) == []
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        log.write_bytes(data.decode().encode(encoding))
        assert parts(str(log), 7000) == []


def test_what_a_process_can_not_read_is_told_as_it_is_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "cores", lambda: 2)
    monkeypatch.setattr(opened, "find_spec", lambda _: None)
    with pytest.raises(AuditError, match=r"is packed with zstd.*pip install"):
        read(write(tmp_path / "a.jsonl.zst", rows()))


def test_a_process_that_is_killed_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "cores", lambda: 2)
    monkeypatch.setattr(apart, "read", lambda *_, **__: os._exit(9))
    with pytest.raises(AuditError, match="a reading process was killed"):
        read(write(tmp_path / "a.jsonl", rows()))
