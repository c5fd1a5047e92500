"""What was calibrated and audited, as the ledger tells it to every proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from fivelevers.metering.event import Event, to_record
from fivelevers.stores.calibrations import Audits, Calibrated, Calibrations, add, audits, latest, look_ups_of
from fivelevers.stores.ledger import Ledger
from tests.unit.events import looked_up

LEVER = "semantic_cache"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def insert(ledger: Ledger, *events: Event) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def test_the_latest_calibration_of_a_route_counts(ledger: Ledger) -> None:
    for at, tau in ((10.0, 0.5), (30.0, 0.7), (20.0, 0.6)):
        add(ledger, Calibrated(at, "support", LEVER, "ann", {"tau": tau}))
    add(ledger, Calibrated(5.0, "coding", LEVER, "ann", {"tau": 0.1}))
    add(ledger, Calibrated(99.0, "support", "routing", "ann", {}))
    assert {route: made.detail["tau"] for route, made in latest(ledger, LEVER).items()} == {
        "support": 0.7,
        "coding": 0.1,
    }


def test_audits_are_judged_hits_that_were_served_since(ledger: Ledger) -> None:
    insert(
        ledger,
        looked_up(at=50.0, verdict="different"),  # before
        looked_up(at=110.0, verdict="different"),
        looked_up(at=120.0, verdict="same"),
        looked_up(at=130.0, verdict=None, judged_by=None),  # nobody could judge
        looked_up(at=140.0, verdict="different", mode="shadow"),
        looked_up(at=150.0, verdict="different", result="miss"),
        looked_up(at=160.0, verdict="different", route="coding"),
    )
    assert audits(ledger, "support", 100.0) == Audits(judged=2, wrong=1)
    assert audits(ledger, "support", 100.0, 120.0) == Audits(judged=1, wrong=1)
    assert audits(ledger, "nobody", 0.0) == Audits(0, 0)


def test_look_ups_come_back_in_order_with_what_was_seen(ledger: Ledger) -> None:
    events = [looked_up(at=at, seen={"n": at}) for at in (30.0, 10.0, 20.0)]
    insert(ledger, *events, looked_up(route="coding"))
    assert [row["seen"]["n"] for row in look_ups_of(ledger, "support", 15.0)] == [20.0, 30.0]


def test_a_process_follows_the_ledger(ledger: Ledger, ledger_url: str) -> None:
    told: dict[str, Audits] = {}
    followed = Calibrations(ledger_url, LEVER, lambda made, counted: told.update({made.route: counted}))
    assert followed.current("support") is None
    add(ledger, Calibrated(100.0, "support", LEVER, "ann", {"tau": 0.7}))
    insert(ledger, looked_up(at=110.0, verdict="different"))
    deadline = time.monotonic() + 10
    while told.get("support") != Audits(1, 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = followed.current("support")
    followed.close()
    assert told == {"support": Audits(1, 1)}
    assert found is not None
    assert found.detail == {"tau": 0.7}
