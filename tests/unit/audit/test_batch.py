"""Lever 3's part of the audit, on logs whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from math import ceil, comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit import batch as module
from fivelevers.audit.answer_lines import Charge, Taken
from fivelevers.audit.batch import OTHERS, BatchAudit
from fivelevers.audit.batch_lines import RESCUED, BatchLine, Caller, Gain, Sign, Waiting, rescued_at_most, unfinished
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.manner import Manner
from fivelevers.policy import Caller as Who
from fivelevers.prices import PriceBook
from fivelevers.request import Api
from tests.unit.audit.logged import SONNET, call

RATES = {"input_cost_per_token": "2e-6", "output_cost_per_token": "10e-6", "cache_read_input_token_cost": "0.2e-6"}
BATCH = {"input_cost_per_token_batches": "1.2e-6", "output_cost_per_token_batches": "6e-6"}  # 40 % off
ROWS = {SONNET: RATES | BATCH, "live-only": RATES}
PRICES = PriceBook(
    {name: {"litellm_provider": "anthropic", **{k: Decimal(v) for k, v in row.items()}} for name, row in ROWS.items()}
)
LIVE, BATCHED = Decimal("0.003"), Decimal("0.0018")  # of 1,000 tokens in and 100 out
CHARGE = Charge(LIVE, LIVE)
GAIN = LIVE * (1 - RESCUED) - BATCHED
MOST = LIVE - BATCHED
HOUR_S = 3600.0
QUIET = Manner(api=Api.MESSAGES, streamed=False)
DAY = 1_793_611_380.0  # a Monday, 2026-11-02 09:23 UTC
SYSTEM = "You help. " * 40


def ask(at: float, question: str | None = None, *, manner: Manner = QUIET, **who: Any) -> LoggedCall:
    body = None if question is None else {"system": SYSTEM, "messages": [{"role": "user", "content": question}]}
    made = call(DAY + at, body=body, input=1000, output=100)
    return replace(made, manner=manner, caller=Who("", {}, **{"key": "key-1", **who}))


def audited(calls: Iterable[LoggedCall], taken: Taken = Taken.NO, charge: Charge | None = CHARGE) -> BatchLine:
    audit = BatchAudit(PRICES)
    for one in calls:
        audit.see(one, "route", charge, taken)
    (line,) = audit.lines().values()
    assert sum(map(accounted, line.callers)) == sum(caller.calls for caller in line.callers)
    return line


def accounted(caller: Caller) -> int:
    alone = caller.answered + caller.other_api + caller.other_tier + caller.unpriced + caller.no_batch_price
    return alone + caller.waits.total() + caller.may


def ends(line: BatchLine) -> tuple[Decimal, Decimal]:
    found = line.saving(after_lever_1=True)
    assert found is not None
    return found


def test_without_a_sign_a_call_is_in_the_high_end_alone() -> None:
    line = audited(ask(n * 1000.0, f"question {n}") for n in range(3))
    assert (line.total("may"), line.total("signed"), line.waiting) == (3, 0, 0)
    assert ends(line) == (Decimal(0), 3 * MOST)


@pytest.mark.parametrize(
    ("sign", "calls"),
    [
        (Sign.DEFERRED, [ask(0, "a", manner=replace(QUIET, deferred=True))]),
        (Sign.NAMED, [ask(0, "a", tags=("team-a", "nightly-report"))]),
        (Sign.NAMED, [ask(0, "a", key_alias="eval_runner")]),
        (Sign.BURST, [ask(n * 0.5, f"question {n}") for n in range(30)]),
        (Sign.CLOCK, [ask(n * 24 * HOUR_S + n, f"question {n}") for n in range(7)]),
        (Sign.CLOCK, [ask(n * HOUR_S + at, f"{n} {at}") for n in range(6) for at in (0.0, 50.0, 99.0)]),
    ],
    ids=["deferred", "tag", "key", "burst", "daily", "hourly"],
)
def test_what_has_a_sign_is_in_both_ends(sign: Sign, calls: list[LoggedCall]) -> None:
    line = audited(calls)
    (caller,) = line.callers
    assert dict(caller.signs) == {sign: len(calls)}
    assert caller.signed == caller.may == len(calls)
    rescued = rescued_at_most(1 if sign is Sign.BURST else len(calls))
    assert ends(line) == pytest.approx((len(calls) * (LIVE * (1 - rescued) - BATCHED), len(calls) * MOST))


def test_several_signs_count_a_call_once() -> None:
    line = audited(ask(n * 0.5, f"question {n}", key_alias="nightly") for n in range(30))
    (caller,) = line.callers
    assert caller.signs == {Sign.NAMED: 30, Sign.BURST: 30}
    assert (caller.signed, caller.words, caller.bursts) == (30, {"nightly"}, 1)


@pytest.mark.parametrize(
    ("waiting", "calls"),
    [
        (Waiting.STREAMED, [ask(0, "a", manner=replace(QUIET, streamed=True), tags=("nightly",))]),
        (Waiting.BROWSER, [ask(0, "a", manner=replace(QUIET, browser=True))]),
        (Waiting.REPLIED, [ask(0, "a", manner=replace(QUIET, continued=True))]),
    ],
)
def test_what_somebody_waited_for_stays(waiting: Waiting, calls: list[LoggedCall]) -> None:
    line = audited(calls)
    assert dict(line.callers[0].waits) == {waiting: 1}
    assert line.saving(after_lever_1=True) is None


def test_a_reply_takes_the_call_before_it_out_whatever_its_signs() -> None:
    first = ask(0, "When?", key_alias="nightly")
    turns = [{"role": r, "content": t} for r, t in (("user", "When?"), ("assistant", "Now."), ("user", "Why?"))]
    again = call(DAY + 60, body={"system": SYSTEM, "messages": turns}, input=1000, output=100)
    again = replace(again, manner=QUIET, caller=first.caller)
    assert dict(audited([first, again]).callers[0].waits) == {Waiting.REPLIED: 2}


def test_what_can_not_be_batched_is_counted_by_reason() -> None:
    other = ask(0, "a", manner=replace(QUIET, api=Api.OTHER))
    assert audited([other]).total("other_api") == 1
    assert audited([ask(0, "a", manner=replace(QUIET, other_tier=True))]).total("other_tier") == 1
    assert audited([replace(ask(0, "a"), model="live-only")]).total("no_batch_price") == 1
    assert audited([ask(0, "a")], charge=None).total("unpriced") == 1
    assert audited([ask(0, "a")], taken=Taken.SURELY).total("answered") == 1


def test_what_lever_2_may_take_is_in_the_high_end_alone() -> None:
    line = audited([ask(0, "a", key_alias="nightly")], taken=Taken.PERHAPS)
    assert (line.total("signed"), line.total("perhaps_answered")) == (1, 1)
    assert ends(line) == (Decimal(0), MOST)
    similar = audited([ask(0, "a", key_alias="nightly")]).saving(after_lever_1=True, similar=Decimal("0.25"))
    assert similar == (GAIN * Decimal("0.75"), MOST)


def test_a_warm_prefix_makes_a_batch_dearer() -> None:
    warm = Charge(LIVE, Decimal("0.0012"))  # of the prompt nine tenths read from the cache
    line = audited([ask(0, "a", key_alias="nightly")], charge=warm)
    assert ends(line) == (Decimal(0), Decimal(0))
    assert line.saving(after_lever_1=False) == (GAIN, MOST)
    assert line.callers[0].dearer == (0, 1)


def test_the_low_end_takes_all_of_a_caller_or_none() -> None:
    """Reads of a warm prefix are cheap because a dear call wrote it: that one can not go alone."""
    audit = BatchAudit(PRICES)
    for n, live in enumerate(("0.0035", "0.0012", "0.0012", "0.0012")):
        audit.see(ask(n * 100.0, f"{n}", key_alias="nightly"), "r", Charge(LIVE, Decimal(live)), Taken.NO)
    (line,) = audit.lines().values()
    assert ends(line) == (Decimal(0), Decimal("0.0035") - BATCHED)


def test_tokens_alone_say_what_is_not_known() -> None:
    line = audited(ask(n * 1000.0, manner=Manner()) for n in range(3))
    assert (line.total("may"), line.total("streams_unknown"), line.total("prompts_unknown")) == (3, 3, 3)


def test_nights_and_weekends() -> None:
    at = {"Monday 9": 0.0, "Monday 22": 13 * HOUR_S, "Tuesday 5": 20 * HOUR_S, "Saturday 12": (5 * 24 + 3) * HOUR_S}
    assert audited([ask(s, name) for name, s in at.items()]).total("at_night") == 3


def test_a_pipeline_with_several_prompts_is_one_burst_and_a_job_beside_people_is_one_too() -> None:
    steps = [replace(ask(n * 0.5), request=ask(0, f"{n}").request) for n in range(40)]
    steps = [one if n % 2 else replace(one, request=None) for n, one in enumerate(steps)]
    assert audited(steps).callers[0].signs == {Sign.BURST: 40}
    people = [replace(ask(n * 30.0, f"{n}"), request=None) for n in range(200)]
    job = [ask(3000 + n * 0.5, f"job {n}") for n in range(30)]
    mixed = sorted([*people, *job], key=lambda one: one.at)
    assert audited(mixed).callers[0].signs == {Sign.BURST: 30}


def test_callers_are_bounded_and_so_are_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CALLERS_AT_MOST", 3)
    monkeypatch.setattr(module, "_ORIGINS_AT_MOST", 5)
    audit = BatchAudit(PRICES)
    for n in range(20):
        audit.see(ask(n * 1.0, f"{n}", key=f"key-{n}"), "route", CHARGE, Taken.NO)
    assert len(audit._origins) == 5
    (line,) = audit.lines().values()
    assert {caller.key: caller.calls for caller in line.callers} == {"key-0": 1, "key-1": 1, "key-2": 1, OTHERS: 17}


def test_of_batches_as_long_as_they_are_known_to_take() -> None:
    assert unfinished(420) == pytest.approx(0.5)
    assert unfinished(3600) == pytest.approx(0.1)
    assert float(RESCUED) == pytest.approx(0.0175, abs=2e-4)


@pytest.mark.parametrize("batches", [1, 2, 3, 8, 40, 150, 1000, 1001])
def test_of_a_few_batches_one_is_a_large_share(batches: int) -> None:
    rate, most = float(RESCUED), rescued_at_most(batches)
    late = ceil(float(most) * batches - 1e-9)
    chances = [comb(batches, n) * rate**n * (1 - rate) ** (batches - n) for n in range(late + 1)]
    assert sum(chances) >= 0.95
    assert most == RESCUED or batches > 1000 or sum(chances[:-1]) < 0.95
    assert rescued_at_most(100_000) == pytest.approx(RESCUED, abs=Decimal("0.001"))


USD = st.decimals("0.0001", "0.01", places=6)


@given(st.lists(st.tuples(USD, USD, USD, st.booleans(), st.booleans()), min_size=1, max_size=20), st.decimals(0, 1))
def test_the_low_end_is_never_above_the_high_one_and_neither_below_nothing(
    calls: list[tuple[Decimal, Decimal, Decimal, bool, bool]], similar: Decimal
) -> None:
    one, other = Caller("r", "m", "a", ""), Caller("r", "m", "b", "")
    for paid, marked, batch, signed, first in calls:
        caller, gain = one if first else other, Gain.of(Charge(paid, marked), batch)
        caller.take(gain)
        if signed:
            caller.sure.add(gain)
    line = BatchLine("r", "m", [one, other])
    for after in (False, True):
        low, high = line.saving(after_lever_1=after, similar=similar) or (Decimal(-1), Decimal(-1))
        assert 0 <= low <= high
        assert high <= sum((marked if after else paid for paid, marked, *_ in calls), Decimal(0))
    assert sum(caller.dearer[0] for caller in line.callers) == sum(
        paid * (1 - RESCUED) <= batch for paid, _, batch, *_ in calls
    )
