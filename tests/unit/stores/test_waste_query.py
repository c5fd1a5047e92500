"""Waste that no attempt tells by itself: wrong hits, and cache writes that nobody read."""

from collections.abc import Iterator
from decimal import Decimal
from math import inf
from typing import Any

import pytest

from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Attempt, Event, to_record
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.report import GroupBy
from fivelevers.metering.wrong_hits import Hits
from fivelevers.prices import Kind, Usage
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.waste_query import semantic_hits, unread_writes
from tests.unit.events import attempt, looked_up, outcome

_PLAIN, _WRITE = Decimal("0.000003"), Decimal("0.00000375")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def insert(ledger: Ledger, *events: Event) -> None:
    assert ledger.insert([to_record(event) for event in events]) == []


def cached(at: float, *, read: int = 0, written: int = 0, **more: Any) -> Attempt:
    parts = {Kind.INPUT: 10 * _PLAIN, Kind.CACHE_WRITE_5M: written * _WRITE}
    usage = Usage(input=10, cache_read=read, cache_write_5m=written)
    given = {"at": at + 1, "started_at": at, "provider": "anthropic", "model": "claude-sonnet-4-5"} | more
    return attempt(usage=usage, cost_parts=parts, **given)


def unread(ledger: Ledger, now: float = 1e9, by: GroupBy = GroupBy.ROUTE) -> dict[str, Decimal]:
    return {group: usd for group, usd in unread_writes(ledger, by, 0.0, inf, now).items() if usd}


def test_a_write_that_nobody_reads_costs_its_premium(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000), cached(1100.0, read=500), cached(5000.0, written=100))
    assert unread(ledger) == {"support": (1500 + 100) * (_WRITE - _PLAIN)}


def test_a_write_that_is_read_in_time_is_no_waste(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000), cached(1299.0, read=2000))
    assert unread(ledger) == {}


def test_a_write_whose_life_has_not_ended_is_not_judged(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000))
    assert unread(ledger, now=1200.0) == {}
    assert unread(ledger, now=1301.0)


def test_another_providers_entry_may_live_longer(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000, provider="openai"), cached(2700.0, read=2000, provider="openai"))
    assert unread(ledger) == {}


def test_a_write_of_a_request_with_two_tags_stands_under_both(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=1000, tags=("a", "b")))
    premium = 1000 * (_WRITE - _PLAIN)
    assert unread(ledger, by=GroupBy.TAG) == {"a": premium, "b": premium}


def test_a_tagged_write_that_an_untagged_call_reads_is_no_waste(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000, tags=("a", "b")), cached(1100.0, read=2000))
    assert unread(ledger, by=GroupBy.TAG) == {}


def test_an_untagged_write_is_no_tags_waste(ledger: Ledger) -> None:
    insert(ledger, cached(1000.0, written=2000), cached(5000.0, written=100, tags=("a",)))
    assert unread(ledger, by=GroupBy.TAG) == {"a": 100 * (_WRITE - _PLAIN)}


def test_hits_of_a_route(ledger: Ledger) -> None:
    spared = (Saving("semantic_cache", Basis.ESTIMATED, Decimal("0.002")),)
    for n, (result, verdict) in enumerate([("hit", None), ("audit", "same"), ("audit", "different"), ("miss", None)]):
        name = f"q{n}"
        insert(ledger, attempt(request_id=name, savings=spared if result == "hit" else (), team=f"t{n // 2}"))
        insert(ledger, looked_up(request_id=name, result=result, verdict=verdict))
    insert(ledger, attempt(request_id="q2", charged_to="semantic_cache"))
    silent = Hits("support", "support", 1, failed=Decimal(0), silent=Decimal("0.002"))
    assert semantic_hits(ledger, GroupBy.ROUTE, 0.0, inf) == [silent]
    assert sorted(semantic_hits(ledger, GroupBy.TEAM, 0.0, inf), key=lambda one: one.group) == [
        Hits("t0", "support", 1, Decimal(0), Decimal("0.002")),
        Hits("t1", "support", 0, Decimal(0), Decimal(0)),
    ]


def test_hits_are_told_apart_by_what_was_said_of_them(ledger: Ledger) -> None:
    said = {"q0": Outcome.FAILURE, "q1": Outcome.SUCCESS, "q2": None}
    for name, word in said.items():
        spared = (Saving("semantic_cache", Basis.ESTIMATED, Decimal(f"0.00{name[1]}5")),)
        insert(ledger, attempt(request_id=name, savings=spared))
        insert(ledger, looked_up(request_id=name, result="hit", verdict=None))
        if word is not None:
            insert(ledger, outcome(name, word))
    insert(ledger, outcome("q0", Outcome.FAILURE))  # said twice, it is one
    found = semantic_hits(ledger, GroupBy.ROUTE, 0.0, inf)
    assert found == [Hits("support", "support", 3, Decimal("0.0005"), Decimal("0.0025"))]


def test_shadow_hits_were_not_served(ledger: Ledger) -> None:
    insert(ledger, attempt(request_id="q"), looked_up(request_id="q", mode="shadow", result="hit"))
    assert semantic_hits(ledger, GroupBy.ROUTE, 0.0, inf) == []
