"""Events reach the ledger; where they can not, they wait, and nothing raises."""

import time
from pathlib import Path

from fivelevers import metrics
from fivelevers.meter import Meter
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
