"""Accepted means appended: a killed process loses nothing, and no event is drained twice or while it is written."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fivelevers.errors import LedgerError
from fivelevers.stores.spool import SUFFIX, Spool, drain

WRITER = """
import sys, pathlib
from fivelevers.stores.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]))
n = 0
while True:
    spool.append({"n": n, "who": sys.argv[2]})
    n += 1
    print(n, flush=True)
"""


def collect(directory: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    drain(directory, found.extend)
    return found


def test_events_come_out_in_order_and_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for n in range(1000):
        spool.append({"n": n})
    assert collect(tmp_path) == []  # a live writer's segment is its own
    spool.close()
    assert [event["n"] for event in collect(tmp_path)] == list(range(1000))
    assert collect(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_segment_is_handed_over_when_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.spool.ROTATE_AFTER_S", 0.0)
    spool = Spool(tmp_path)
    spool.append({"n": 1})
    spool.sync()
    assert collect(tmp_path) == [{"n": 1}]
    spool.append({"n": 2})
    spool.close()
    assert collect(tmp_path) == [{"n": 2}]


def test_a_segment_is_handed_over_when_nothing_more_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.spool.QUIET_S", 3600.0)
    spool = Spool(tmp_path)
    spool.append({"n": 1})
    assert not spool.sync()
    monkeypatch.setattr("fivelevers.stores.spool.QUIET_S", 0.0)
    assert spool.sync()
    assert not spool.sync()
    assert collect(tmp_path) == [{"n": 1}]


def test_a_killed_writer_loses_nothing_that_it_had_appended(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(i)], stdout=subprocess.PIPE)
        for i in range(2)
    ]
    appended = []
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.stdout.close()
        writer.wait()
        appended.append(int(rest[-1]) if rest else 50)
    events = collect(tmp_path)
    for i, count in enumerate(appended):
        mine = [event["n"] for event in events if event["who"] == str(i)]
        assert mine == list(range(len(mine)))
        assert len(mine) >= count


def test_a_torn_last_line_was_never_accepted(tmp_path: Path) -> None:
    (tmp_path / f"1-x{SUFFIX}").write_bytes(b'{"n":1}\n{"n":2}\n{"n"')
    assert collect(tmp_path) == [{"n": 1}, {"n": 2}]


def test_a_damaged_line_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / f"1-x{SUFFIX}").write_bytes(b'{"n":1}\nnot json\n[]\n{"n":2}\n')
    assert collect(tmp_path) == [{"n": 1}, {"n": 2}]
    assert (tmp_path / "1-x.rejected").read_bytes() == b"not json\n[]\n"


def test_a_failed_insert_keeps_the_segment(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append({"n": 1})
    spool.close()

    def refuse(_: list[dict[str, Any]]) -> None:
        raise LedgerError("ledger: gone")

    with pytest.raises(LedgerError):
        drain(tmp_path, refuse)
    assert collect(tmp_path) == [{"n": 1}]


def test_many_drainers_share_the_segments_without_doubling_any(tmp_path: Path) -> None:
    for n in range(40):
        spool = Spool(tmp_path)
        spool.append({"n": n})
        spool.close()
    found: list[dict[str, Any]] = []

    def insert(records: list[dict[str, Any]]) -> None:
        time.sleep(0.001)
        found.extend(records)

    threads = [threading.Thread(target=drain, args=(tmp_path, insert)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event["n"] for event in found) == list(range(40))


def _append_in_child(spool: Spool) -> None:
    spool.append({"who": "child"})


def test_a_forked_process_opens_a_segment_of_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append({"who": "parent"})
    child = multiprocessing.get_context("fork").Process(target=_append_in_child, args=(spool,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 2
    assert collect(tmp_path) == [{"who": "child"}]
    spool.append({"who": "parent"})
    spool.close()
    assert len(collect(tmp_path)) == 2


def test_a_spool_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="does not take events"):
        Spool(tmp_path / "file").append({"n": 1})
