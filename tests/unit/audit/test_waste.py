"""Waste by name: what was asked again, cut off, changed by a time, sent twice at once, never read, or has no price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fivelevers.audit.answers import Said
from fivelevers.audit.audit import Audit
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.waste import ON_PURPOSE, WINDOW_S, Name, Wasted
from fivelevers.policy import Caller
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import SONNET, call

BOOK = PriceBook.from_litellm_map(find_litellm_map())
EACH = Decimal("0.0006")  # 100 tokens in at 3 USD a million, 20 out at 15


def ask(at: float, text: str = "When do you open?", who: str | None = "ann", **more: Any) -> LoggedCall:
    said = {"messages": [{"role": "user", "content": text}], "temperature": 0}
    made = call(at, body=said, said=Said(whole=True, text="At ten."), ended=at + 1, input=100, output=20)
    return replace(made, caller=Caller("", {}, "key-1", end_user=who), **more)


def audited(calls: Iterable[LoggedCall]) -> Audit:
    made = Audit(BOOK, similar=False)
    for one in calls:
        made.see(one, "desk")
    return made


def wasted(*calls: LoggedCall, model: str = SONNET) -> dict[str, Wasted]:
    return audited(calls).waste().get(("desk", model), {})


def test_the_answer_before_the_same_request_was_of_no_use() -> None:
    assert wasted(ask(0), ask(60), ask(120)) == {Name.AGAIN: Wasted(2, 240, 2 * EACH)}


@pytest.mark.parametrize(
    "second",
    [ask(60, who="bob"), ask(60, "And on Sunday?"), ask(WINDOW_S + 2), ask(60, who=None)],
    ids=["somebody else", "something else", "much later", "nobody is named"],
)
def test_what_is_no_repeat(second: LoggedCall) -> None:
    assert wasted(ask(0), second) == {}


def test_a_session_names_its_caller_too() -> None:
    assert wasted(ask(0, who=None, session="s-1"), ask(60, who=None, session="s-1")) == {
        Name.AGAIN: Wasted(1, 120, EACH)
    }
    made = audited([ask(0), ask(60, who=None)])
    assert (made.asked.nameless, made.asked.ends_unknown) == (1, 2)


def test_copies_at_once_are_no_repeats() -> None:
    found = wasted(ask(0), ask(0.5), ask(0.7))
    assert found == {Name.AT_ONCE: Wasted(2, 240, 2 * EACH)}


def test_a_burst_fails_once_at_most() -> None:
    """The last answer of three that came at once, by the same request a minute later."""
    assert wasted(ask(0), ask(0.5), ask(0.7), ask(60))[Name.AGAIN] == Wasted(1, 120, EACH)


def test_answers_that_were_cut_off_are_paid_in_full() -> None:
    assert wasted(ask(0, cut_off=True), ask(9000, "Hello?", cut_off=False)) == {Name.CUT_OFF: Wasted(1, 120, EACH)}
    short = replace(ask(0, cut_off=True), usage=replace(ask(0).usage, output=ON_PURPOSE))
    assert wasted(short) == {}  # a class, a yes or a no


def test_prompts_that_a_time_changed() -> None:
    def told(at: float, stamp: str) -> LoggedCall:
        system = f"It is {stamp}. " + "You answer for a shop that sells garden tools. " * 300
        said = {"system": system, "messages": [{"role": "user", "content": f"Question {at}?"}]}
        return call(at, body=said, input=4000, output=20)

    found = wasted(*(told(60.0 * n, f"2026-11-02T09:{n:02}:00Z") for n in range(4)))
    assert set(found) == {Name.CHANGED}
    assert found[Name.CHANGED].calls == 3
    assert found[Name.CHANGED].usd > 0


def test_calls_without_a_price_are_counted() -> None:
    nameless = replace(ask(0), model="house-model", provider=None)
    assert wasted(nameless, model="house-model") == {Name.NO_PRICE: Wasted(1, 120, Decimal(0))}


def test_an_end_user_counts_before_a_session_that_each_call_has_for_itself() -> None:
    """LiteLLM gives a fresh one to each call that brings none."""
    assert wasted(ask(0, session="s-1"), ask(60, session="s-2")) == {Name.AGAIN: Wasted(1, 120, EACH)}
    made = audited([ask(60.0 * n, who=None, session=f"s-{n}") for n in range(3)])
    assert (made.waste(), made.asked.nameless) == ({}, 3)
    made = audited([ask(400.0 * n, f"Question {n}", who=None, session="s-1") for n in range(3)])
    assert made.asked.nameless == 0
