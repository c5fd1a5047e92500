"""Lever 1's part of the audit, on logs whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.lines import MISSED, Line
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import call

SYSTEM = "You help the customers of a bakery. " * 300  # 10,800 characters
INPUT = Decimal("3e-6")  # Sonnet 4.5: USD per token in; a write of 5 minutes is 1.25 of it, a read 0.1


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return PriceBook.from_litellm_map(find_litellm_map())


def audited(prices: PriceBook, calls: Iterable[LoggedCall], route: str = "bakery") -> PromptCacheAudit:
    told = PromptCacheAudit(prices)
    for one in calls:
        told.see(one, route)
    return told


def only_line(told: PromptCacheAudit) -> Line:
    (line,) = told.lines()
    return line


def body(question: str, system: str = SYSTEM, **more: Any) -> dict[str, Any]:
    return {"system": system, "messages": [{"role": "user", "content": question}], **more}


def asked(count: int, gap_s: float) -> list[LoggedCall]:
    """Short questions behind one system prompt of about 2,700 tokens, a fixed time apart."""
    return [call(n * gap_s, body=body(f"Question {n}?"), input=2705) for n in range(count)]


def test_a_prompt_that_repeats_saves_most_of_its_input(prices: PriceBook) -> None:
    line = only_line(audited(prices, asked(200, 30.0)))
    assert line.input_usd == 200 * 2705 * INPUT
    assert line.projected.calls == 200
    assert line.projected.paid == line.projected.as_it_was == line.input_usd
    assert line.saving is not None
    low, high = line.saving
    assert high - low == 2 * MISSED * line.input_usd  # every prompt is there, and nothing was cached before
    assert Decimal("0.80") < low / line.input_usd < Decimal("0.90")  # a read is a tenth


def test_prompts_that_never_repeat_are_left_alone(prices: PriceBook) -> None:
    """But for the few writes that it takes to find out."""
    calls = [call(n * 30.0, body=body("Hi", f"{n:06} {SYSTEM}"), input=2705) for n in range(1000)]
    line = only_line(audited(prices, calls))
    assert line.saving is not None
    assert line.projected.marks < 40
    assert -line.input_usd * (Decimal("0.02") + MISSED) < line.saving[0] <= 0


def test_what_is_reusable_stood_at_the_start_of_an_earlier_prompt(prices: PriceBook) -> None:
    """Whatever its cache: half of the second, nothing of a third that begins otherwise."""
    parts = [{"type": "text", "text": f"{name} " * 1000} for name in "abcd"]
    said = [[parts[0], parts[1]], [parts[0], parts[2]], [parts[3], parts[1]]]
    bodies = [{"max_tokens": 9, "messages": [{"role": "user", "content": content}]} for content in said]
    line = only_line(audited(prices, [call(n * 60.0, body=one, input=3000) for n, one in enumerate(bodies)]))
    assert line.projected.prompt == 9000
    assert line.projected.reusable == pytest.approx(1500, abs=2)


def test_tokens_alone_tell_no_saving_but_what_was_wasted_and_the_most_there_is(prices: PriceBook) -> None:
    calls = [call(n * 1000.0, input=5, cache_write_5m=2700) for n in range(10)] + [call(1e6, input=5)]
    line = only_line(audited(prices, calls))
    assert line.saving is None
    assert line.no_text == 11
    assert line.never_read == 27_000
    assert line.never_read_usd == 27_000 * INPUT / 4
    paid = (55 + Decimal("1.25") * 27_000) * INPUT
    assert line.input_usd == paid
    assert line.at_most_usd == 10 * ((5 + Decimal("1.25") * 2700) - Decimal("0.1") * 2705) * INPUT
    assert line.below_minimum == 1


def test_a_write_that_another_route_reads_is_not_wasted(prices: PriceBook) -> None:
    told = PromptCacheAudit(prices)
    told.see(call(0, input=5, cache_write_5m=2700), "a")
    told.see(call(10, input=5, cache_read=2700), "b")
    told.see(call(10_000, input=5), "b")
    assert [line.never_read for line in told.lines()] == [0, 0]


def test_calls_without_a_prompt_widen_the_range(prices: PriceBook) -> None:
    blind = [call(n * 30.0 + 10, input=2705) for n in range(200)]
    calls = sorted([*asked(200, 30.0), *blind], key=lambda one: one.at)
    line = only_line(audited(prices, calls))
    assert line.saving is not None
    low, high = line.saving
    missed = MISSED * line.projected.paid
    assert high - 2 * missed == 2 * (low + missed)  # as many calls again


def test_a_model_that_caches_by_itself_and_one_without_a_price(prices: PriceBook) -> None:
    told = PromptCacheAudit(prices)
    openai = call(0, body=body("Hi"), model="gpt-4.1", input=2705)
    told.see(replace(openai, provider=None), "a")  # the price map knows whose model it is
    told.see(call(0, body=body("Hi"), model="model-that-no-map-knows", input=2705), "b")
    automatic, unpriced = told.lines()
    assert (automatic.style, automatic.priced, automatic.saving) == (Style.AUTOMATIC, 1, None)
    assert (unpriced.priced, unpriced.saving) == (0, None)
