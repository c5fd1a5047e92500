from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fivelevers.metering.reconcile import BillEntry, Line, Reconciliation, Verdict, Why, reconcile
from fivelevers.prices import Kind

RATES = {
    Kind.INPUT: Decimal("3e-6"),
    Kind.CACHE_READ: Decimal("3e-7"),
    Kind.CACHE_WRITE_5M: Decimal("3.75e-6"),
    Kind.CACHE_WRITE_1H: Decimal("6e-6"),
    Kind.OUTPUT: Decimal("15e-6"),
}
KILL = (100.0, 130.0)


def entry(name: str, tokens: dict[Kind, int], *, key: str = "k", at: float = 0.0, reported: bool = True) -> BillEntry:
    usd = sum((RATES[kind] * count for kind, count in tokens.items()), Decimal(0))
    return BillEntry(name, at, key, "sonnet", tokens, usd, reported)


def lines(entries: Iterable[BillEntry], rates: dict[Kind, Decimal] = RATES) -> list[Line]:
    return [Line(e.key, e.model, kind, count, rates[kind] * count) for e in entries for kind, count in e.tokens.items()]


def compare(
    ledger: Sequence[BillEntry], bill: Sequence[BillEntry], rates: dict[Kind, Decimal] = RATES
) -> Reconciliation:
    return reconcile(
        lines(ledger, rates),
        lines(bill),
        ledger_calls={e.id: sum(e.tokens.values()) for e in ledger},
        bill_entries=bill,
        kill_windows=[KILL],
    )


usages = st.dictionaries(st.sampled_from(Kind), st.integers(1, 10**6), min_size=1)
bills = st.lists(st.tuples(st.sampled_from(["k", "l"]), usages), min_size=1, max_size=8).map(
    lambda drawn: [entry(f"msg_{at}", tokens, key=key) for at, (key, tokens) in enumerate(drawn)]
)
SESSION = [entry(f"msg_{at}", {Kind.INPUT: 50, Kind.CACHE_WRITE_5M: 900, Kind.OUTPUT: 40}) for at in range(5)]


@given(bills, st.data())
def test_the_same_calls_agree_in_any_order(bill: list[BillEntry], data: st.DataObject) -> None:
    told = compare(data.draw(st.permutations(bill)), bill)
    assert told.agreed
    assert told.bill_alone == ()
    assert {row.key for row in told.rows} == {e.key for e in bill}


@given(bills, st.data())
def test_a_call_that_the_ledger_dropped_breaks_it(bill: list[BillEntry], data: st.DataObject) -> None:
    dropped = data.draw(st.sampled_from(bill))
    told = compare([e for e in bill if e is not dropped], bill)
    assert not told.agreed
    assert [alone.entry.id for alone in told.unexplained] == [dropped.id]


def test_a_dropped_call_breaks_it_however_small_it_is() -> None:
    whole, retry = entry("msg_0", {Kind.INPUT: 10**6}), entry("msg_1", {Kind.INPUT: 1})
    told = compare([whole], [whole, retry])
    assert [row.verdict for row in told.rows] == [Verdict.AGREED]
    assert not told.agreed


@given(bills, st.data())
def test_a_call_that_the_ledger_counts_twice_breaks_it(bill: list[BillEntry], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(bill))
    others = sum(sum(e.tokens.values()) for e in bill if e.key == twice.key)
    assume(sum(twice.tokens.values()) * 500 > others)
    assert not compare([*bill, twice], bill).agreed


@given(bills, st.data())
def test_the_usage_of_one_stream_lost_breaks_it(bill: list[BillEntry], data: st.DataObject) -> None:
    """The call is known, its tokens are not."""
    lost = data.draw(st.sampled_from(bill))
    kind, count = next(iter(lost.tokens.items()))
    assume(count * 500 > sum(e.tokens.get(kind, 0) for e in bill if e.key == lost.key))
    told = compare([replace(e, tokens={}) if e is lost else e for e in bill], bill)
    assert {row.key for row in told.rows if row.verdict is Verdict.TOKENS_DIFFER} == {lost.key}
    assert not told.agreed


@pytest.mark.parametrize("kind", [Kind.INPUT, Kind.CACHE_WRITE_5M, Kind.OUTPUT])
def test_half_a_price_breaks_it_though_the_tokens_agree(kind: Kind) -> None:
    told = compare(SESSION, SESSION, RATES | {kind: RATES[kind] / 2})
    assert [row.verdict for row in told.rows] == [Verdict.DOLLARS_DIFFER]
    assert not told.agreed


def test_tokens_swapped_between_kinds_break_it_though_the_sum_agrees() -> None:
    ours = entry("msg", {Kind.INPUT: 200, Kind.CACHE_READ: 100})
    theirs = entry("msg", {Kind.INPUT: 100, Kind.CACHE_READ: 200})
    assert not compare([ours], [theirs]).agreed


@pytest.mark.parametrize(("ours", "agreed"), [(100_100, True), (99_900, True), (100_101, False), (99_899, False)])
def test_the_tolerance_is_a_thousandth_of_the_bill(ours: int, agreed: bool) -> None:
    told = compare([entry("msg", {Kind.INPUT: ours})], [entry("msg", {Kind.INPUT: 100_000})])
    assert told.agreed is agreed


def test_one_key_does_not_make_up_for_another() -> None:
    bill = [entry("a", {Kind.INPUT: 100}, key="k"), entry("b", {Kind.INPUT: 100}, key="l")]
    ledger = [entry("a", {Kind.INPUT: 90}, key="k"), entry("b", {Kind.INPUT: 110}, key="l")]
    assert [row.verdict for row in compare(ledger, bill).rows] == [Verdict.TOKENS_DIFFER] * 2


def test_an_unknown_price_is_no_agreement() -> None:
    told = reconcile([Line("k", "m", Kind.INPUT, 5, None)], [Line("k", "m", Kind.INPUT, 5, Decimal("0.1"))])
    assert [(row.verdict, row.ledger_usd) for row in told.rows] == [(Verdict.UNPRICED, None)]
    assert not told.agreed


def test_what_is_in_the_ledger_alone_differs() -> None:
    assert not compare(SESSION, []).agreed
    assert not compare([], SESSION).agreed
    assert compare([], []).agreed


def test_usage_that_was_never_reported_is_named_and_set_apart() -> None:
    cut = entry("msg_cut", {Kind.INPUT: 7000, Kind.OUTPUT: 3}, reported=False)
    told = compare(SESSION, [*SESSION, cut])
    assert told.agreed
    assert [(alone.entry.id, alone.why) for alone in told.set_apart] == [("msg_cut", Why.NEVER_REPORTED)]
    assert told.rows[0].bill_usd == told.rows[0].ledger_usd


def test_a_call_that_was_cut_is_set_apart_though_the_ledger_knows_its_id() -> None:
    cut = entry("msg_cut", {Kind.INPUT: 7000}, reported=False)
    assert compare([*SESSION, replace(cut, tokens={})], [*SESSION, cut]).agreed


@pytest.mark.parametrize("at", KILL)
def test_a_call_in_flight_at_the_kill_is_named_and_set_apart(at: float) -> None:
    told = compare(SESSION, [*SESSION, entry("msg_killed", {Kind.INPUT: 7000}, at=at)])
    assert told.agreed
    assert [(alone.entry.id, alone.why) for alone in told.set_apart] == [("msg_killed", Why.IN_FLIGHT_AT_KILL)]


@pytest.mark.parametrize("at", [99.9, 130.1])
def test_outside_the_window_it_is_unexplained(at: float) -> None:
    told = compare(SESSION, [*SESSION, entry("msg_lost", {Kind.INPUT: 1}, at=at)])
    assert not told.agreed
    assert [alone.entry.id for alone in told.unexplained] == ["msg_lost"]
    assert told.set_apart == ()


def test_a_call_that_the_ledger_has_is_compared_even_within_the_window() -> None:
    assert compare(SESSION, SESSION).agreed
    inside = [replace(e, at=110.0) for e in SESSION]
    told = compare(inside, inside)
    assert told.agreed
    assert told.set_apart == ()


def test_rows_show_both_sides_by_kind() -> None:
    (row,) = compare(SESSION, SESSION).rows
    assert row.tokens == {Kind.INPUT: (250, 250), Kind.CACHE_WRITE_5M: (4500, 4500), Kind.OUTPUT: (200, 200)}
