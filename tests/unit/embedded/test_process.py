import os
from pathlib import Path

import pytest

from fivelevers.embedded import process
from fivelevers.embedded.process import Process
from fivelevers.errors import StackError
from tests.wire.stack_host import family, still_alive


def test_stubborn_grandchildren_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    deaf = "trap '' TERM; sh -c 'trap \"\" TERM; echo up; sleep 600' & wait"
    running = Process("deaf", ["sh", "-c", deaf], log=tmp_path / "log", env=dict(os.environ), cwd=tmp_path)
    running.wait_until(lambda: "up" in running.output(), 10)
    pids = family(running.pid)
    assert len(pids) >= 2
    running.stop()
    assert not still_alive(pids, 1)


def test_what_a_process_leaves_behind_goes_with_it(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 600 & echo $!"]
    running = Process("parent", command, log=tmp_path / "log", env=dict(os.environ), cwd=tmp_path)
    running.wait_until(lambda: bool(running.output().strip()), 10)
    assert not still_alive([int(running.output())], 5)
    running.stop()


def test_a_process_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    running = Process("silent", ["sleep", "600"], log=tmp_path / "log", env=dict(os.environ), cwd=tmp_path)
    try:
        with pytest.raises(StackError, match=r"(?s)silent was not ready within 0.1 s; .*\(empty\)"):
            running.wait_until(lambda: False, 0.1)
    finally:
        running.stop()
