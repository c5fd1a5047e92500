"""A log that several processes read in parts gives what one process reads: the same calls, account and places."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fivelevers.audit import apart, opened
from fivelevers.audit.audit import Audit
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.groups import By
from fivelevers.audit.opened import Part
from fivelevers.audit.rows import parts
from fivelevers.audit.sources import Sources
from fivelevers.cli.audit_tables import Found, audit_record
from fivelevers.cli.logs import go_through
from fivelevers.errors import AuditError
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import write
from tests.unit.audit.test_read import BODY, EXCHANGE
from tests.wire.stack_host import still_alive

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


def record(*names: Path) -> dict[str, Any]:
    """What an audit says of them."""
    made = Audit(PriceBook.from_litellm_map(find_litellm_map()), similar=False)
    done = go_through([*map(str, names)], By.ROUTE, None, made.see, made=made)
    return audit_record(Found(made, done, By.ROUTE), show_text=True)


def asked_again() -> list[object]:
    """Calls of two routes: a shared system prompt, a time in it on one of them, and every third asked before."""
    rng, made = random.Random(2), list[object]()
    for number in range(300):
        stamp = f"It is {number}. " if number % 2 else ""
        text = "When do you open?" if number % 3 == 0 else f"Question {number}?"
        said = [{"role": "system", "content": stamp + "You know a manual. " * 400}, {"role": "user", "content": text}]
        body = {"model": "claude-sonnet-4-5", "temperature": 0, "messages": said}
        usage = {"prompt_tokens": 2000 + number % 7, "completion_tokens": 20}
        about = {"alias": "desk" if number % 2 else "shop", "team": "t", "timestamp": 1.79e9 + 40.0 * number}
        made.append({"request": body, "response": {"model": "claude-sonnet-4-5", "usage": usage}, **about})
    rng.shuffle(made)
    return made


def test_an_audit_beside_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write(tmp_path / "a.jsonl", asked_again())
    alone = record(log)
    assert any(float(line["projections"]["semantic_cache"]["saving_usd"][1]) > 0 for line in alone["lines"])
    assert alone["differences"]
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "_PART_BYTES", 200_000)
    monkeypatch.setattr(apart, "cores", lambda: 2)
    assert json.loads(json.dumps(record(log))) == json.loads(json.dumps(alone))


def test_a_process_beside_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    log = write(tmp_path / "a.jsonl", asked_again())
    monkeypatch.setattr(apart, "WORTH_IT", 0)
    monkeypatch.setattr(apart, "cores", lambda: 2)
    monkeypatch.setattr(Audit, "lever_1", killed)
    with pytest.raises(AuditError, match="a process was killed"):
        record(log)


_WAITING = """
import os, sys, time
from pathlib import Path
from fivelevers.audit import apart
from fivelevers.audit.calls import Account
from fivelevers.audit.sources import Sources

apart.WORTH_IT, apart.cores = 0, lambda: 3

def waits(calls):
    time.sleep(600)
    yield

with Sources.of(sys.argv[1:]).reading(work=waits) as calls:
    print(Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
    next(calls(Account(), lambda _: None))
    time.sleep(600)
"""


def test_nothing_goes_on_where_the_command_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WAITING, str(write(tmp_path / "log.jsonl", rows()))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = [int(child) for child in process.stdout.readline().split()]
        process.kill()
    assert len(children) > 1
    assert still_alive(children, 20.0) == []
