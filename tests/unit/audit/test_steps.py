"""Lever by lever, each on what those before it left: two stories that add up, and no dollar saved twice in either."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from fivelevers.audit.answers import Said
from fivelevers.audit.audit import Audit
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.manner import Manner
from fivelevers.audit.steps import Steps, steps
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.request import Api
from tests.unit.audit.logged import call

BOOK = PriceBook.from_litellm_map(find_litellm_map())
DEAR, CHEAP = "claude-opus-4-5", "claude-haiku-4-5"


def traffic(seed: int) -> Iterator[LoggedCall]:
    """Calls that every lever may take: often the same, with a temperature or without, nobody waits, and two models are
    right as often."""
    rng = random.Random(seed)
    at = 0.0
    for number in range(300):
        at += rng.expovariate(1 / 30)
        text = "the same" if rng.random() < 0.4 else f"another {number}"
        body = {"messages": [{"role": "user", "content": text}]} | ({"temperature": 0} if rng.random() < 0.3 else {})
        model = DEAR if rng.random() < 0.7 else CHEAP
        one = call(
            at,
            body=body,
            model=model,
            said=Said(whole=True, text="yes"),
            ended=at + 1,
            input=rng.randint(10, 400),
            output=60,
        )
        yield replace(one, good=rng.random() < 0.97, manner=Manner(api=Api.MESSAGES, streamed=False))


def told(calls: Iterator[LoggedCall]) -> Steps:
    made = Audit(BOOK, similar=False)
    for one in calls:
        made.see(one, "desk")
    return steps(made.lines(), made.projections())


@pytest.mark.parametrize("seed", range(5))
def test_both_stories_add_up_and_save_no_more_than_was_paid(seed: int) -> None:
    found = told(traffic(seed))
    left = found.paid, found.paid
    for step in found.steps:
        low, high = step.saving or (Decimal(0), Decimal(0))
        left = left[0] - high, left[1] - low
        assert step.left == left
        assert 0 <= left[0] <= left[1]
        assert 0 <= low <= high
    assert left[0] + found.held_out[1] == found.left[0]


def test_what_an_earlier_lever_takes_at_most_a_later_one_does_not_take_too() -> None:
    """The same again with a temperature: lever 2 may answer all but one of them, and lever 3 has that one left."""
    body = {"messages": [{"role": "user", "content": "the same"}], "temperature": 1}
    asked = [call(60.0 * n, body=body, model=DEAR, ended=60.0 * n + 1, input=400, output=60) for n in range(40)]
    manner = Manner(api=Api.MESSAGES, streamed=False)
    by_name = {step.lever.name: step for step in told(replace(one, manner=manner) for one in asked).steps}
    answers, batch = by_name["semantic_cache"], by_name["batch"]
    assert answers.saving is not None
    assert batch.saving is not None
    assert answers.saving[1] == answers.left[1] * 39 / 40
    assert batch.saving == (Decimal(0), answers.left[0] / 2)
