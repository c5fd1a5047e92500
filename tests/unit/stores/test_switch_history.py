"""The history is one on both kinds of database: each action once, in whatever order it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fivelevers.metering.event import to_record
from fivelevers.stores import switch_history
from fivelevers.stores.ledger import Ledger
from fivelevers.switch import ANY, Action, Switch
from tests.unit.events import attempt

NOW = 1_795_409_629.63905


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = Ledger(ledger_url)
    ledger.create()
    yield ledger
    ledger.close()


def test_actions_come_back_as_they_were(ledger: Ledger) -> None:
    said = [
        Switch(NOW, "e1", Action.OFF, ANY, ANY, "ann@desk", "wrong answers é"),
        Switch(NOW + 1e-6, "e2", Action.RESUME, ANY, ANY, "ann@desk", None),
        Switch(NOW - 50, "e3", Action.RETREAT, "support", "semantic_cache", "guard", "it does not pay"),
    ]
    switch_history.add(ledger, said[:2])
    switch_history.add(ledger, [])
    switch_history.add(ledger, [*said, said[2]])
    assert {switch.event_id: switch for switch in switch_history.read(ledger)} == {s.event_id: s for s in said}
    assert {switch.event_id for switch in switch_history.read(ledger, NOW)} == {"e1", "e2"}


def test_a_policy_is_recorded_when_it_is_another_one(ledger: Ledger) -> None:
    assert switch_history.last_policy(ledger) is None
    first = switch_history.follow_policy(ledger, "aaa", (), actor="host", now=NOW)
    assert (first.old, first.new) == (None, "aaa")
    second = switch_history.follow_policy(ledger, "bbb", ("routes.support: added",), actor="host", now=NOW - 60)
    assert (second.old, second.new, second.changes) == ("aaa", "bbb", ("routes.support: added",))
    assert second.at > first.at  # a clock that is behind does not put it before the one that it replaces
    assert switch_history.follow_policy(ledger, "bbb", (), actor="another", now=NOW + 60) == second
    assert switch_history.last_policy(ledger) == second
    third = switch_history.follow_policy(ledger, "aaa", (), actor="host", now=NOW + 120)
    assert third.event_id not in {first.event_id, second.event_id}
    assert switch_history.read(ledger) == []


def test_the_stamp_of_a_file_tells_of_switches_and_of_another_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger, other = Ledger(f"sqlite:///{path}"), Ledger(f"sqlite:///{path}")
    ledger.create()
    stamps = [switch_history.stamp(ledger)]
    ledger.insert([to_record(attempt())])
    assert switch_history.stamp(ledger) == stamps[0]
    switch_history.add(other, [Switch(NOW, "e1", Action.OFF, ANY, ANY, "ann@desk")])
    stamps.append(switch_history.stamp(ledger))
    switch_history.follow_policy(other, "aaa", (), actor="host", now=NOW)
    stamps.append(switch_history.stamp(ledger))
    path.rename(tmp_path / "old.db")
    ledger.create()
    stamps.append(switch_history.stamp(ledger))
    assert len(set(stamps)) == 4


def test_a_stamp_that_can_not_be_renewed_costs_time_and_no_switch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.create()
    (tmp_path / "ledger.db-switched").mkdir()
    (tmp_path / "ledger.db-switched/full").touch()
    switch_history.add(ledger, [Switch(NOW, "e1", Action.OFF, ANY, ANY, "ann@desk")])
    assert [switch.event_id for switch in switch_history.read(ledger)] == ["e1"]
    assert "up to 30 s late" in caplog.text
