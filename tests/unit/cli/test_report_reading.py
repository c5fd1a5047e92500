"""What a page of the report says does not depend on how it is grouped, where it speaks of all traffic."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fivelevers.cli.report_reading import read_lines, read_told
from fivelevers.metering.attribution import Basis, Saving, WasteKind
from fivelevers.metering.event import Event, to_record
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.report import GroupBy
from fivelevers.pages.holdout import forgone
from fivelevers.pages.month_page import month_page
from fivelevers.pages.report_page import Told, held_out, report_page
from fivelevers.stores.calibrations import Calibrated, add
from fivelevers.stores.ledger import Ledger
from tests.unit.events import attempt, looked_up, outcome
from tests.unit.pages.test_markup import Read

DAY_S = 86_400.0
GROUPS = [GroupBy.ROUTE, GroupBy.TAG, GroupBy.MODEL, GroupBy.TOTAL]


class Kept:
    """A ledger that takes events, and what the report reads from it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir, self.url = state_dir, f"sqlite:///{state_dir}/ledger.db"

    def insert(self, *events: Event, promised: float | None = None) -> None:
        ledger = Ledger(self.url)
        ledger.create()
        assert ledger.insert([to_record(event) for event in events]) == []
        if promised is not None:
            add(ledger, Calibrated(900.0, "support", "semantic_cache", "ann", {"max_wrong": promised}))
        ledger.close()

    def told(self, by: GroupBy) -> Told:
        return read_told(self.state_dir, self.url, by, 0.0)

    def page(self, by: GroupBy) -> str:
        return Read(report_page(self.told(by))).text


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def audited() -> list[Event]:
    """40 audits of requests with two tags and a retry on another model, one of them wrong; 10 without a tag, one wrong;
    one hit that says it spared a dollar."""
    events: list[Event] = []
    for n in range(50):
        name, tags = f"q{n}", ("a", "b") if n < 40 else ()
        retried = attempt(request_id=name, tags=tags, at=999.0, success=False, model="gpt-4.1-mini")
        verdict = "different" if n in (0, 40) else "same"
        events += [retried, attempt(request_id=name, tags=tags), looked_up(request_id=name, verdict=verdict)]
    spared = (Saving("semantic_cache", Basis.ESTIMATED, Decimal(1)),)
    served = attempt(request_id="hit", tags=("a",), savings=spared, cost_without_us_usd=Decimal("1.00028"))
    return [*events, served, looked_up(request_id="hit", result="hit", verdict=None, judged_by=None)]


@pytest.mark.parametrize("by", GROUPS)
def test_the_bound_on_wrong_hits_counts_an_audit_once(kept: Kept, by: GroupBy) -> None:
    kept.insert(*audited(), promised=0.05)
    assert "support1502" in kept.page(by)  # served, audited, wrong
    (promise,) = kept.told(by).promises
    assert promise.upper == kept.told(GroupBy.ROUTE).promises[0].upper
    assert promise.max_wrong == 0.05


@pytest.mark.parametrize("by", GROUPS)
def test_wrong_hits_waste_the_share_of_all_audits_of_the_route(kept: Kept, by: GroupBy) -> None:
    kept.insert(*audited())
    lines = read_lines(kept.state_dir, kept.url, by, 0.0)
    usd = [waste.usd for line in lines for waste in line.waste if waste.kind is WasteKind.WRONG_HIT]
    assert sum(usd) == Decimal(2) / 50


def test_a_route_without_a_calibration_promises_nothing(kept: Kept) -> None:
    kept.insert(*audited())
    assert kept.told(GroupBy.ROUTE).promises[0].max_wrong is None
    assert "none yet" in kept.page(GroupBy.ROUTE)


def tagged() -> list[Event]:
    """A dollar each without us, half of it saved outside the holdout, on three days: with two tags, three, and none."""
    half = Decimal("0.5")
    saved = (Saving("semantic_cache", Basis.ESTIMATED, half),)
    events: list[Event] = []
    for n, tags in enumerate((("a", "b"), ("a", "b", "c"), ()) * 4):
        at, whole = 1000.0 + DAY_S * (n // 3 % 3), Decimal(1)
        treated = attempt(tags=tags, at=at, cost_usd=half, cost_without_us_usd=whole, savings=saved)
        events += [treated, attempt(tags=tags, at=at, cost_usd=whole, cost_without_us_usd=whole, holdout=True)]
    return events


@pytest.mark.parametrize("by", GROUPS)
def test_money_and_holdout_are_counted_once(kept: Kept, by: GroupBy) -> None:
    kept.insert(*tagged())
    told = kept.told(by)
    assert told.total.totals.cost == 18
    assert held_out(told).requests == held_out(told).cost == 12
    assert forgone(told.measured) == 6
    text = Read(report_page(told)).text
    for day, usd in ((1, "$9.0000"), (2, "$4.5000"), (3, "$4.5000")):
        assert f"{day} January 1970{usd}" in text
    assert "Knowing this cost $6.0000" in text
    assert "$6.0000 not saved on 12 requests (50.0 %)" in Read(month_page(told)).text


def two_models(sessions: int) -> list[Event]:
    """Each session asks two models, and both answers are good."""
    made = [attempt(session=f"s{n}", model=model) for n in range(sessions) for model in ("gpt-4.1", "gpt-4.1-mini")]
    return [*made, *(outcome(one.request_id, Outcome.SUCCESS) for one in made)]


@pytest.mark.parametrize("by", GROUPS)
def test_a_session_that_used_two_models_is_one_in_the_total(kept: Kept, by: GroupBy) -> None:
    kept.insert(*two_models(20))
    assert "20 sessions" in getattr(kept.told(by).total.cost_per_success, "detail", "")


def days(count: int, known_on: int) -> list[Event]:
    """One session a day, whose outcome is known on the first ones."""
    made = [attempt(session=f"s{n}", at=1000.0 + DAY_S * n) for n in range(count)]
    return [*made, *(outcome(one.request_id, Outcome.SUCCESS) for one in made[:known_on])]


def test_where_no_step_is_long_enough_the_longest_is_shown(kept: Kept) -> None:
    kept.insert(*days(60, 60))
    told = kept.told(GroupBy.ROUTE)
    assert (told.step_days, [day for day, _ in told.steps]) == (28, [0, 28, 56])
    assert "1 January 1970 to 1 March 1970 (UTC)" in Read(report_page(told)).text


def test_where_no_outcome_is_known_it_goes_by_days(kept: Kept) -> None:
    kept.insert(*days(60, 0))
    told = kept.told(GroupBy.ROUTE)
    assert (told.step_days, len(told.steps)) == (1, 60)


def test_the_steps_of_tags_begin_where_those_of_all_traffic_begin(kept: Kept) -> None:
    late = [attempt(session=f"t{n}", at=1000.0 + 10 * DAY_S, tags=("a",)) for n in range(40)]
    kept.insert(*days(60, 60), *late, *(outcome(one.request_id, Outcome.SUCCESS) for one in late[:5]))
    told = kept.told(GroupBy.TAG)
    assert (told.step_days, [day for day, _ in told.steps]) == (28, [0])
    assert [day for day, _ in told.part_steps] == [0, 28, 56]
