"""What the guards read: sessions of both arms, in exact step with the report, and which guards were started."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from decimal import Decimal
from operator import itemgetter

import numpy as np
import pytest

from fivelevers.metering.arms import Contrast
from fivelevers.metering.event import Event, to_record
from fivelevers.metering.guard import SETTING, Session, Side, Sums, add_up, caps
from fivelevers.metering.interval import Coverage
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.stores import guards
from fivelevers.stores.guards import Started
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.ledger import guards as table
from tests.unit.events import attempt, outcome

NOBODY: frozenset[str] = frozenset()
CACHE = Contrast("semantic_cache", frozenset({"prompt_cache", "semantic_cache"}), frozenset({"prompt_cache"}))
BOTH = ("prompt_cache", "semantic_cache")
SUCCESS, FAILURE = Outcome.SUCCESS, Outcome.FAILURE
DOLLAR = Decimal(1)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def insert(ledger: Ledger, *events: Event) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def test_a_request_costs_what_all_its_attempts_and_its_levers_calls_cost(ledger: Ledger) -> None:
    insert(
        ledger,
        attempt(request_id="r1", treated=BOTH, at=1000, cost_usd=DOLLAR, success=False, prompt_chars=400),
        attempt(request_id="r1", treated=BOTH, at=1001, cost_usd=DOLLAR, failure_cost_usd=5 * DOLLAR, prompt_chars=400),
        attempt(request_id="r1", treated=BOTH, at=1002, cost_usd=DOLLAR, charged_to="semantic_cache"),
        outcome("r1", SUCCESS, Source.VALIDATOR),
        outcome("r1", FAILURE, Source.EXPLICIT),
        attempt(request_id="r2", treated=BOTH, asked_at=1100, at=1101, cost_usd=2 * DOLLAR, prompt_chars=900),
        outcome("r2", SUCCESS),
        attempt(request_id="r3", treated=BOTH, asked_at=1200, at=1201, cost_usd=9 * DOLLAR),
    )
    treated, control = guards.read(ledger, "support", CACHE, NOBODY, 0.0)
    one = Session(5.0, 5.0, known=2, successes=1, size=400.0)
    assert treated.sums == add_up([one], caps([one]))
    assert treated.coverage == Coverage(2, 3)
    assert control == Side(Sums(), Coverage(0, 0))


def test_sides_are_those_whose_other_levers_are_the_same(ledger: Ledger) -> None:
    told = {
        "inside": attempt(session="a", treated=BOTH),
        "inside, batched": attempt(session="b", treated=("batch", *BOTH)),
        "outside": attempt(session="c", treated=("prompt_cache",)),
        "holdout": attempt(session="d", treated=(), holdout=True),
        "more levers": attempt(session="e", treated=(*BOTH, "routing")),
        "another route": attempt(session="f", treated=BOTH, route="chat"),
        "skipped": attempt(session="g", treated=("prompt_cache",), skipped=("semantic_cache",)),
        "before": attempt(session="h", treated=BOTH, asked_at=900.0),
    }
    insert(ledger, *told.values(), *(outcome(one.request_id, SUCCESS) for one in told.values()))
    assert counted(ledger, CACHE) == (2, 1)
    without = Contrast("prompt_cache", frozenset({"prompt_cache"}), NOBODY)
    assert counted(ledger, without, "semantic_cache") == (2, 1)


def counted(ledger: Ledger, contrast: Contrast, *off: str) -> tuple[int, int]:
    """Sessions of both sides, asked at 950 or later."""
    treated, control = guards.read(ledger, "support", contrast, frozenset(off), 950.0)
    return treated.sums.sessions, control.sums.sessions


def test_rows_that_are_added_up_as_they_come_say_what_all_sessions_at_once_say(ledger: Ledger) -> None:
    """More than set the caps, in no order, dearer as time goes: so the caps are those of the first to begin."""
    rng = np.random.default_rng(7)
    events: list[Event] = []
    told: list[tuple[float, bool, Session]] = []
    requests = {True: 0, False: 0}
    for number in rng.permutation(250).tolist():
        inside, began = bool(rng.random() < 0.4), 1000.0 + number
        costs = [round(float(rng.lognormal(number / 50)), 6) for _ in range(int(rng.integers(1, 4)))]
        good = [bool(rng.random() < 0.8) for _ in costs]
        made = [
            attempt(session=f"s{number}", treated=BOTH if inside else BOTH[:1], asked_at=began + at, at=2000.0 + number,
                    cost_usd=Decimal(str(cost)), prompt_chars=number, failure_cost_usd=DOLLAR)
            for at, cost in enumerate(costs)
        ]  # fmt: skip
        events += made
        requests[inside] += len(made)
        if rng.random() < 0.9:
            events += [outcome(one.request_id, SUCCESS if g else FAILURE) for one, g in zip(made, good, strict=True)]
            failed = float(good.count(False))
            told.append((began, inside, Session(sum(costs), failed, len(made), good.count(True), float(number))))
    insert(ledger, *events)
    told.sort(key=itemgetter(0))
    most = caps([one for _, _, one in told[:SETTING]])
    for inside, side in zip((True, False), guards.read(ledger, "support", CACHE, NOBODY, 0.0), strict=True):
        arm = [one for _, where, one in told if where == inside]
        assert astuple(side.sums) == pytest.approx(astuple(add_up(arm, most)))
        assert side.coverage == Coverage(sum(one.known for one in arm), requests[inside])


def test_a_session_with_an_unknown_price_is_unknown(ledger: Ledger) -> None:
    one = attempt(treated=BOTH, cost_usd=None, cost_parts=None)
    insert(ledger, one, outcome(one.request_id, SUCCESS))
    side, _ = guards.read(ledger, "support", CACHE, NOBODY, 0.0)
    assert side == Side(Sums(), Coverage(0, 1))


def test_each_guard_has_a_number_of_its_own_and_the_last_one_of_a_lever_counts(ledger: Ledger) -> None:
    guards.start(ledger, "support", "semantic_cache", "a1", 10.0)
    guards.start(ledger, "support", "routing", "b1", 11.0)
    guards.start(ledger, "support", "semantic_cache", "a2", 12.0)
    assert guards.latest(ledger) == {
        ("support", "semantic_cache"): Started(3, 12.0, "support", "semantic_cache", "a2"),
        ("support", "routing"): Started(2, 11.0, "support", "routing", "b1"),
    }


def test_two_processes_that_take_one_number_start_one_guard(ledger: Ledger) -> None:
    guards.start(ledger, "support", "routing", "a", 1.0)
    ledger.add(table, [{"number": 1, "at": 2.0, "route": "chat", "lever": "routing", "arms": "b"}])
    assert list(guards.latest(ledger)) == [("support", "routing")]
