"""What is compared, and what the rows say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.exports.compare import By
from fivelevers.metering.exports.lines import DAY_S, Export, Line, combined, plain_model, renamed
from fivelevers.prices import Kind
from tests.unit.metering.exports.sides import IN, MODEL, OUT, USED, Days, against, changed, export, lines

USAGE = st.dictionaries(
    st.integers(0, 5), st.dictionaries(st.sampled_from(Kind), st.integers(1, 10**9), min_size=1), min_size=1
)


@given(USAGE, USAGE)
def test_both_sides_agree_exactly_where_they_are_the_same(ours: Days, theirs: Days) -> None:
    comparison = against(lines(ours), export(lines(theirs)), tolerance="0")
    assert comparison.agrees == (ours == theirs)
    assert bool(comparison.findings) == (ours != theirs), "every difference has a cause, be it `unexplained`"


@given(USAGE, st.sampled_from(By))
def test_the_rows_add_up_to_both_sides(used: Days, by: By) -> None:
    rows = against(lines(used), export(lines(changed(used, min(used), {IN: 5, OUT: 9})))).rows(by)
    total = sum(count for kinds in used.values() for count in kinds.values())
    assert sum(row.ledger_tokens or 0 for row in rows) == total
    assert sum(row.export_tokens or 0 for row in rows) == total + 14
    assert sum((row.ledger_usd or Decimal(0) for row in rows), Decimal(0)) == sum(line.usd or 0 for line in lines(used))


@pytest.mark.parametrize(("tolerance", "agrees"), [("0.01", True), ("0.009", False)])
def test_the_tolerance_is_a_share_of_the_export(tolerance: str, agrees: bool) -> None:
    comparison = against(lines({0: {IN: 99_000}}), export(lines({0: {IN: 100_000}})), tolerance=tolerance)
    assert comparison.agrees is agrees


def test_the_verdict_is_on_each_cell_whatever_is_shown() -> None:
    told = changed(changed(USED, 0, {IN: 500}), 1, {IN: -500})
    comparison = against(lines(USED), export(lines(told)))
    assert not comparison.agrees
    (row,) = comparison.rows(By.MODEL)
    assert (row.ledger_tokens, row.agrees) == (row.export_tokens, False)
    assert [row.agrees for row in comparison.rows(By.KIND)] == [False, True, True, True, True]


def test_snapshots_and_display_names_are_one_model() -> None:
    told = [*lines({0: USED[0]}, model=f"{MODEL}-20251001"), *lines({1: USED[1]}, model="Claude Haiku 4.5")]
    assert against(lines(USED), export(told)).agrees
    assert renamed(told) == {f"{MODEL}-20251001": MODEL, "Claude Haiku 4.5": MODEL}
    assert plain_model("gpt-4o-latest") == "gpt-4o"
    assert plain_model("text-embedding-ada-002-v2") == "text-embedding-ada-002"


def test_an_export_without_models_is_compared_without_them() -> None:
    ours = [*lines(USED), *lines(USED, model="gpt-4.1")]
    twice = lines({day: {kind: 2 * count for kind, count in kinds.items()} for day, kinds in USED.items()}, model=None)
    assert against(ours, export(twice)).agrees
    assert not against(ours, export(lines(USED, model=None))).agrees


def without(what: str, told: Iterable[Line]) -> list[Line]:
    return [replace(line, tokens=None) if what == "tokens" else replace(line, usd=None) for line in told]


def test_nothing_is_compared_that_the_export_does_not_tell() -> None:
    unpriced = without("usd", lines(USED))
    assert against(unpriced, export(unpriced, usd=False)).agrees
    assert not against(unpriced, export(lines(USED))).agrees
    dollars = export(without("tokens", lines(USED)), tokens=False)
    assert against(lines(USED), dollars).agrees
    assert [row.export_tokens for row in against(lines(USED), dollars).rows(By.DAY)] == [None, None]


def test_an_export_of_empty_days_tells_that_they_were_empty() -> None:
    assert not against(lines(USED), export([])).agrees
    assert against([], export([])).agrees


def test_rounded_dollars_agree_within_their_rounding() -> None:
    def rounded(usd: str) -> Export:
        line = Line(0.0, "anthropic", MODEL, IN, usd=Decimal(usd), rounding_usd=Decimal("0.005"))
        return export([line], tokens=False)

    ours = [Line(0.0, "anthropic", MODEL, IN, 25_000, Decimal("0.025"))]
    assert against(ours, rounded("0.03")).agrees
    assert not against(ours, rounded("0.04")).agrees


def test_pages_and_costs_are_taken_together() -> None:
    first, second = export(lines({0: USED[0]}), usd=False), export(lines({1: USED[1]}), usd=False)
    first, second = (replace(page, lines=tuple(without("usd", page.lines))) for page in (first, second))
    costs = replace(export(lines(USED)), quantities=True)
    for files in ([first, second, costs], [costs, second, first]):
        whole = combined(files)
        assert (whole.start, whole.until, whole.tokens, whole.usd) == (0.0, 2 * DAY_S, True, True)
        assert against(lines(USED), whole).agrees, "quantities of the costs are not counted beside the usage"
    assert combined([costs]).tokens, "but where there is no usage, they are the tokens"


def test_usage_and_costs_of_other_days_are_compared_on_the_days_of_both() -> None:
    usage = replace(export(lines(USED)), usd=False, lines=tuple(without("usd", lines(USED))))
    costs = replace(export(without("tokens", lines({1: USED[1], 2: USED[0]}))), tokens=False)
    whole = combined([usage, costs])
    assert (whole.start, whole.until) == (DAY_S, 2 * DAY_S)
    assert against(lines({1: USED[1]}), whole).agrees


def test_a_key_leaves_out_the_others() -> None:
    told = export([*lines(USED, keys=("k1", "w1")), *lines(USED, keys=("k2", "w1"))])
    assert against(lines(USED), told.of_keys(["k2"])).agrees
    assert len(told.of_keys(["w1"]).lines) == len(told.lines)
    assert told.keys == {"k1", "k2", "w1"}
