"""Repeats in the ledger: the same as metering/repeats.py says, whatever arrives first and however often."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fivelevers import metrics
from fivelevers.metering.attribution import WasteKind
from fivelevers.metering.event import Attempt, to_record
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.metering.repeats import Copy, repeated
from fivelevers.metering.report import GroupBy, build
from fivelevers.stores.ledger import Ledger, outcomes
from fivelevers.stores.report_query import clusters
from tests.unit.events import attempt, outcome

WINDOW_S = 10.0


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def asked(name: str, asked_at: float, at: float, **changes: object) -> Attempt:
    return attempt(**{"request_id": name, "asked_at": asked_at, "at": at, "repeat_window_s": WINDOW_S} | changes)


def insert(ledger: Ledger, *events: Attempt) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def said(ledger: Ledger) -> dict[str, float]:
    """Requests that failed by a repeat -> when it came."""
    with ledger.engine.connect() as connection:
        rows = connection.execute(outcomes.select().where(outcomes.c.source == Source.REPEAT.value)).all()
    assert {row.outcome for row in rows} <= {Outcome.FAILURE.value}
    assert len({row.request_id for row in rows}) == len(rows)
    return {row.request_id: row.at for row in rows}


def test_the_earlier_of_two_failed(ledger: Ledger) -> None:
    insert(ledger, asked("a", 0.0, 1.0), asked("b", 3.5, 4.0))
    assert said(ledger) == {"a": 3.5}
    with ledger.engine.connect() as connection:
        (row,) = connection.execute(outcomes.select())
    assert row.detail == "asked again 2.5 s after the answer had ended"


def test_the_report_counts_it_until_somebody_who_knows_speaks(ledger: Ledger) -> None:
    insert(ledger, asked("a", 0.0, 1.0), asked("b", 3.5, 4.0))
    (line,) = build(clusters(ledger, GroupBy.TOTAL, 0.0), [])
    assert (line.totals.successes, line.totals.failures) == (0, 1)
    ledger.insert([to_record(outcome("a", Outcome.SUCCESS))])
    (line,) = build(clusters(ledger, GroupBy.TOTAL, 0.0), [])
    assert (line.totals.successes, line.totals.failures) == (1, 0)


def test_what_a_caller_had_to_ask_again_is_waste_at_its_cost(ledger: Ledger) -> None:
    usd = [Decimal(f"0.00{n}") for n in (1, 2, 3, 4)]
    insert(ledger, *(asked(f"r{n}", 10.0 * n, 10.0 * n + 1, cost_usd=cost) for n, cost in enumerate(usd)))
    ledger.insert([to_record(outcome("r3", Outcome.SUCCESS))])
    (line,) = build(clusters(ledger, GroupBy.TOTAL, 0.0), [])
    wasted = {waste.kind: waste.usd for waste in line.waste if waste.usd}
    assert wasted == {WasteKind.FAILED_REQUEST: sum(usd[:3])}


@pytest.mark.parametrize("changes", [
    {"tenant": "team:b"}, {"session": "s2"}, {"digest": "d1"}, {"route": "other"}, {"repeat_window_s": None},
    {"repeat_window_s": 2.0}, {"request_id": "a"},
])  # fmt: skip
def test_what_is_not_the_same_request_again_says_nothing(ledger: Ledger, changes: dict[str, object]) -> None:
    insert(ledger, asked("a", 0.0, 1.0), asked("b", 3.5, 4.0, **changes))
    assert said(ledger) == {}


def test_an_attempt_that_comes_late_takes_back_what_it_refutes(ledger: Ledger) -> None:
    insert(ledger, asked("a", 0.0, 1.0), asked("b", 2.0, 3.0))
    assert said(ledger) == {"a": 2.0}
    insert(ledger, asked("c", 0.5, 2.5))  # it was under way when b came
    assert said(ledger) == {}


def test_an_answer_ends_with_its_last_attempt(ledger: Ledger) -> None:
    insert(ledger, asked("a", 0.0, 1.0), asked("b", 2.0, 3.0))
    insert(ledger, asked("a", 0.0, 2.5))
    assert said(ledger) == {}


def test_each_repeat_is_counted_once(ledger: Ledger) -> None:
    def counted() -> float:
        labels = {"outcome": "failure", "source": "repeat"}
        return metrics.registry.get_sample_value("fivelevers_outcomes_total", labels) or 0.0

    before, pair = counted(), (asked("a", 0.0, 1.0), asked("b", 3.5, 4.0))
    for _ in range(3):
        insert(ledger, *pair)
    assert counted() == before + 1


def test_two_drainers_with_half_of_a_repeat_each_find_it(ledger: Ledger, ledger_url: str) -> None:
    both, barrier = range(25), threading.Barrier(2)

    def drain(name: str, asked_at: float) -> None:
        mine = Ledger(ledger_url)
        for n in both:
            barrier.wait(timeout=20)
            insert(mine, asked(f"{name}{n}", asked_at, asked_at + 1, digest=f"d{n}"))
        mine.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(drain, ("a", "b"), (0.0, 3.0)))
    assert said(ledger) == {f"a{n}": 3.0 for n in both}


SESSIONS = count()
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(0, 3)), max_size=14)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(spans=SPANS, chance=st.randoms(use_true_random=False))
def test_the_database_finds_what_the_core_does(
    ledger: Ledger, spans: list[tuple[int, int, int]], chance: random.Random
) -> None:
    """Whatever the order of arrival and the segments, and with segments that come twice."""
    session = f"s{next(SESSIONS)}"
    copies, events = [], []
    for n, (start, first, second) in enumerate(spans):
        name, asked_at, ends = f"{session}-{n}", float(start), {start + first, start + first + second}
        events += [asked(name, asked_at, float(end), session=session) for end in ends]  # two: retried inside
        copies.append(Copy(name, asked_at, float(max(ends)), WINDOW_S))
    chance.shuffle(events)
    while events:
        cut = chance.randint(1, len(events))
        segment, events = events[:cut], events[cut:]
        for _ in range(chance.randint(1, 2)):
            insert(ledger, *segment)
    found = {name: at for name, at in said(ledger).items() if name.startswith(f"{session}-")}
    assert found == {name: again.asked_at for name, again in repeated(copies).items()}
