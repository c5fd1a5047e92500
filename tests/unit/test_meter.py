"""Events reach the ledger; where they can not, they wait, and nothing raises."""

import threading
import time
from functools import partial
from pathlib import Path

import pytest

from fivelevers import metrics
from fivelevers.meter import JOBS_AT_MOST, Meter
from fivelevers.metering.report import GroupBy, build
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.report_query import clusters
from tests.unit.events import attempt


def requests(url: str) -> int:
    ledger = Ledger(url)
    ledger.create()
    found = build(clusters(ledger, GroupBy.TOTAL, 0.0), [])
    ledger.close()
    return found[0].totals.requests if found else 0


def bypasses(reason: str) -> float:
    return metrics.registry.get_sample_value("fivelevers_bypass_total", {"lever": "metering", "reason": reason}) or 0.0


def test_what_is_recorded_is_in_the_ledger_soon(tmp_path: Path) -> None:
    meter = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    for _ in range(20):
        meter.record(attempt())
    deadline = time.monotonic() + 20
    while requests(meter.ledger_url) < 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert requests(meter.ledger_url) == 20
    meter.close()


def test_after_a_pause_it_takes_events_and_jobs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.spool.QUIET_S", 0.0)
    meter, done = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), threading.Event()
    for count in (1, 2):
        meter.record(attempt())
        deadline = time.monotonic() + 20
        while (requests(meter.ledger_url) < count or not meter.spool.idle) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert requests(meter.ledger_url) == count
        time.sleep(0.3)  # its thread waits now
    meter.later(done.set, "a job")
    assert done.wait(20)
    meter.close()


def test_closing_hands_over_what_is_left(tmp_path: Path) -> None:
    meter = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    meter.record(attempt())
    meter.close()
    assert requests(meter.ledger_url) == 1
    assert list((tmp_path / "spool").iterdir()) == []


def test_without_a_ledger_events_wait_in_the_spool(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    meter = Meter(tmp_path, f"sqlite:///{tmp_path}/in-the-way/ledger.db")
    for _ in range(3):
        meter.record(attempt())
    meter.close()
    repaired = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    assert repaired.drain() == 3
    assert requests(repaired.ledger_url) == 3


def test_without_a_spool_the_request_goes_on(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    meter, before = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), bypasses("spool")
    meter.record(attempt())
    assert bypasses("spool") == before + 1
    meter.close()


def test_a_ledger_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    meter = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db")
    meter.record(attempt())
    meter.spool.close()
    meter.drain()
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    meter.record(attempt())
    meter.spool.close()
    deadline = time.monotonic() + 20
    while requests(meter.ledger_url) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert requests(meter.ledger_url) == 1
    meter.close()


def test_nothing_that_a_ledger_does_ends_the_drainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, before = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), bypasses("ledger")
    monkeypatch.setattr(Ledger, "insert", lambda *_: 1 / 0)
    meter.record(attempt())
    deadline = time.monotonic() + 20
    while bypasses("ledger") == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bypasses("ledger") > before
    monkeypatch.undo()
    deadline = time.monotonic() + 20
    while requests(meter.ledger_url) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert requests(meter.ledger_url) == 1
    meter.close()


def test_jobs_run_in_the_meter_s_thread_and_a_broken_one_is_counted(tmp_path: Path) -> None:
    meter, before = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), bypasses("job")
    ran: list[str] = []

    def broken() -> None:
        raise ValueError("broken")

    meter.later(broken, "job")
    meter.later(lambda: ran.append(threading.current_thread().name), "job")
    deadline = time.monotonic() + 20
    while not ran and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ran == ["fivelevers-meter"]
    assert bypasses("job") == before + 1
    meter.close()


def test_jobs_that_are_too_many_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.meter.SYNC_EVERY_S", 3600.0)  # the thread never gets to them; closing does
    meter, before = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), bypasses("job")
    ran: list[int] = []
    for n in range(JOBS_AT_MOST + 3):
        meter.later(partial(ran.append, n), "job")
    assert bypasses("job") == before + 3
    meter.close()
    assert ran == list(range(JOBS_AT_MOST))
