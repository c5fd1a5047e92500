"""Each difference is named by its likely cause, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from fivelevers.metering.exports.causes import Cause, Finding
from fivelevers.metering.exports.lines import Aside, Line
from fivelevers.prices import Kind
from tests.unit.metering.exports.sides import (
    IN,
    MODEL,
    OUT,
    READ,
    USED,
    W1,
    W5,
    Days,
    against,
    changed,
    export,
    lines,
)

MUCH = {IN: 4_000, READ: 20_000, W5: 2_000, W1: 1_000, OUT: 800}


def only(ledger: list[Line], told: list[Line], *asides: Aside, tokens: bool = True, usd: bool = True) -> Finding:
    comparison = against(ledger, export(told, tokens=tokens, usd=usd), *asides)
    assert not comparison.agrees
    (finding,) = comparison.findings
    return finding


def test_nothing_is_found_where_nothing_differs() -> None:
    comparison = against(lines(USED), export(lines(USED)))
    assert comparison.agrees
    assert comparison.findings == ()


def test_traffic_past_the_proxy() -> None:
    finding = only(lines(USED), lines(changed(USED, 0, MUCH), keys=("k1",)))
    assert (finding.cause, finding.tokens) == (Cause.BYPASS, MUCH)
    assert [str(day) for day in finding.days] == ["1970-01-01"]
    assert "the export names k1: leave out with --key" in finding.detail
    assert finding.usd == Decimal("0.0145")


def test_a_model_that_only_the_export_knows_is_traffic_past_the_proxy() -> None:
    finding = only(lines(USED), [*lines(USED), *lines({0: {IN: 77, OUT: 5}}, model="claude-opus-4-1")])
    assert (finding.cause, finding.model) == (Cause.BYPASS, "claude-opus-4-1")


def test_one_key_of_several_is_the_proxys() -> None:
    told = [*lines(USED, keys=("k1", "w")), *lines({0: MUCH, 1: MUCH}, keys=("k2", "w"))]
    finding = only(lines(USED), told)
    assert finding.cause is Cause.OTHER_KEYS
    assert "--key k1" in finding.detail
    assert len(finding.days) == 2


def test_usage_that_nobody_was_told_is_explained_by_the_attempts_that_we_estimated() -> None:
    gap = {IN: 900, OUT: 100}
    aside = Aside(0.0, "anthropic", MODEL, estimated=3, estimated_tokens=800)
    finding = only(lines(USED), lines(changed(USED, 0, gap)), aside)
    assert finding.cause is Cause.NEVER_REPORTED
    assert "3 attempts with about 800 tokens" in finding.detail


def test_estimates_do_not_explain_many_times_their_tokens() -> None:
    aside = Aside(0.0, "anthropic", MODEL, estimated=3, estimated_tokens=800)
    assert only(lines(USED), lines(changed(USED, 0, MUCH)), aside).cause is Cause.BYPASS


@pytest.mark.parametrize(
    ("gaps", "cause", "said"),
    [
        ({IN: 5_000, READ: -5_000}, Cause.CACHE_READS_AS_INPUT, "the export counts 5,000 cache reads as input"),
        ({IN: -5_000, READ: 5_000}, Cause.CACHE_READS_AS_INPUT, "the ledger counts 5,000 cache reads as input"),
        ({W5: 4_000, W1: -4_000}, Cause.WRITE_SPLIT, "4,000 tokens are 1 hour writes in the ledger and 5 minute"),
        ({W5: -4_000, W1: 4_000}, Cause.WRITE_SPLIT, "4,000 tokens are 1 hour writes in the export and 5 minute"),
        ({IN: 9_000, W5: -6_000, W1: -3_000}, Cause.WRITES_AS_INPUT, "the export counts 9,000 tokens written"),
        ({IN: 5_000, READ: -900}, Cause.UNEXPLAINED, "no known pattern"),
        ({OUT: -900}, Cause.UNEXPLAINED, "the ledger has more"),
        ({OUT: 900}, Cause.UNEXPLAINED, "no known pattern"),
    ],
)
def test_tokens_of_another_kind(gaps: Mapping[Kind, int], cause: Cause, said: str) -> None:
    finding = only(lines(USED), lines(changed(USED, 0, gaps)))
    assert (finding.cause, finding.tokens) == (cause, gaps)
    assert said in finding.detail


def test_another_day_boundary() -> None:
    moved = {IN: 10_000, OUT: 2_000}
    told = changed(changed(USED, 0, {kind: -n for kind, n in moved.items()}), 1, moved)
    finding = only(lines(USED), lines(told))
    assert finding.cause is Cause.DAY_BOUNDARY
    assert len(finding.days) == 2
    assert "agree over all days" in finding.detail


def test_a_day_boundary_may_leave_a_rest_at_the_edges() -> None:
    days: Days = {day: {IN: 100_000 + day, OUT: 10_000} for day in range(6)}
    told = days
    for day, shift in enumerate((-30_000, 28_000, -25_000, 26_000, -20_000, 24_000)):
        told = changed(told, day, {IN: shift})
    finding = only(lines(days), lines(told))
    assert finding.cause is Cause.DAY_BOUNDARY
    assert "leave +3,000 over all" in finding.detail


def test_days_apart_do_not_compensate() -> None:
    days: Days = {day: {IN: 100_000, OUT: 10_000} for day in (0, 5)}
    told = changed(changed(days, 0, {IN: 5_000, OUT: 500}), 5, {IN: -5_000, OUT: -500})
    causes = {finding.cause for finding in against(lines(days), export(lines(told))).findings}
    assert causes == {Cause.BYPASS, Cause.NOT_SETTLED}


def test_the_last_day_of_an_export_may_not_be_complete() -> None:
    finding = only(lines(USED), lines(changed(USED, 1, {IN: -20_000, OUT: -3_000})))
    assert finding.cause is Cause.NOT_SETTLED


def test_no_price_in_the_ledger() -> None:
    unpriced = [replace(line, usd=None) for line in lines(USED)]
    aside = Aside(0.0, "anthropic", MODEL, unpriced=4)
    finding = only(unpriced, lines(USED), aside)
    assert (finding.cause, finding.usd) == (Cause.UNPRICED, None)
    assert "4 attempts have no known price" in finding.detail


def repriced(kinds: Mapping[Kind, str], used: Days = USED) -> list[Line]:
    """The export's dollars, each kind times a factor."""
    return [replace(line, usd=line.usd * Decimal(kinds.get(line.kind, "1"))) for line in lines(used)
            if line.usd is not None and line.kind is not None]  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (dict.fromkeys(Kind, "0.5"), "x0.5 on every kind that differs: the price of batch or flex"),
        ({IN: "0.88", OUT: "0.88"}, "x0.88 on every kind that differs: a negotiated price?"),
        ({OUT: "0.5"}, "output: $2.5000/M, the ledger has $5.0000/M (x0.5): the price of batch or flex"),
        ({OUT: "1.1"}, "output: $5.5000/M, the ledger has $5.0000/M (x1.1): the price of inference kept in one region"),
        ({W1: "0.625"}, "cache_write_1h: $1.2500/M, the ledger has $2.0000/M (x0.625): the price of cache_write_5m"),
        ({READ: "10"}, "cache_read: $1.0000/M, the ledger has $0.1000/M (x10): the price of input"),
        ({IN: "0.88"}, "input: $0.8800/M, the ledger has $1.0000/M (x0.88)"),
    ],
)
def test_another_price_is_told_for_each_kind(kinds: Mapping[Kind, str], said: str) -> None:
    one_day: Days = {0: USED[0]}
    finding = only(lines(one_day), repriced(kinds, one_day))
    assert (finding.cause, finding.tokens) == (Cause.PRICE, {})
    assert said in finding.detail


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (dict.fromkeys(Kind, "0.5"), "x0.5 on the sum: the price of batch or flex"),
        ({W1: "0.625"}, "fits cache_write_1h at $1.2500/M: the price of cache_write_5m"),
        (dict.fromkeys(Kind, "0.88"), "x0.88 on the sum: a negotiated price? State it in FIVELEVERS_PRICES"),
    ],
)
def test_another_price_is_told_from_the_sum(kinds: Mapping[Kind, str], said: str) -> None:
    one_day: Days = {0: USED[0]}
    told = repriced(kinds, one_day)
    total = Line(0.0, "anthropic", MODEL, None, usd=sum((line.usd or Decimal(0) for line in told), Decimal(0)))
    finding = only(lines(one_day), [*(replace(line, usd=None) for line in told), total])
    assert finding.cause is Cause.PRICE
    assert said in finding.detail


def test_without_tokens_a_price_is_told_by_a_known_ratio_alone() -> None:
    half = [replace(line, tokens=None) for line in repriced(dict.fromkeys(Kind, "0.5"))]
    assert only(lines(USED), half, tokens=False).cause is Cause.PRICE
    more = [replace(line, tokens=None) for line in repriced(dict.fromkeys(Kind, "1.37"))]
    assert only(lines(USED), more, tokens=False).cause is Cause.BYPASS


def test_two_names_of_one_model() -> None:
    finding = only(lines(USED), lines(USED, model="ft:haiku:desk"))
    assert finding.cause is Cause.MODEL_NAME
    assert f"`ft:haiku:desk` in the export has the usage of `{MODEL}`" in finding.detail


def test_days_with_one_cause_are_told_once_and_other_causes_apart() -> None:
    days: Days = {day: {IN: 50_000, READ: 50_000, OUT: 9_000} for day in range(4)}
    told = days
    for day in (0, 2):
        told = changed(told, day, {IN: 7_000, READ: -7_000})
    told = changed(told, 1, {IN: 900, READ: 900, OUT: 900})
    found = against(lines(days), export(lines(told))).findings
    assert [(finding.cause, len(finding.days)) for finding in found] == [
        (Cause.CACHE_READS_AS_INPUT, 2),
        (Cause.BYPASS, 1),
    ]
    assert "14,000" in found[0].detail
