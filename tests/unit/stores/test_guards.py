"""What the guards read: sessions of both arms, in exact step with the report, and which guards were started."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from fivelevers.metering.arms import Contrast
from fivelevers.metering.event import Event, to_record
from fivelevers.metering.guard import Session
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
    arms = guards.read(ledger, "support", CACHE, NOBODY, 0.0)
    assert arms.treated.sessions == (Session(5.0, 5.0, known=2, successes=1, size=400.0),)
    assert arms.treated.coverage == Coverage(2, 3)
    assert arms.first == arms.treated.sessions
    assert arms.control.sessions == ()


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
    arms = guards.read(ledger, "support", CACHE, NOBODY, 950.0)
    assert (len(arms.treated.sessions), len(arms.control.sessions)) == (2, 1)
    without = Contrast("prompt_cache", frozenset({"prompt_cache"}), NOBODY)
    arms = guards.read(ledger, "support", without, frozenset({"semantic_cache"}), 950.0)
    assert (len(arms.treated.sessions), len(arms.control.sessions)) == (2, 1)


def test_a_session_with_an_unknown_price_is_unknown(ledger: Ledger) -> None:
    one = attempt(treated=BOTH, cost_usd=None, cost_parts=None)
    insert(ledger, one, outcome(one.request_id, SUCCESS))
    side = guards.read(ledger, "support", CACHE, NOBODY, 0.0).treated
    assert (side.sessions, side.coverage) == ((), Coverage(0, 1))


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
