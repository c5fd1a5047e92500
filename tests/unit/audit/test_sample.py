"""A part of a log in blocks of time, and how far what it tells may lie from all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from fivelevers.audit.audit import Audit
from fivelevers.audit.blocks import BLOCK_S, block_of, drawn
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.sample import Errors, Groups
from fivelevers.audit.steps import Steps, steps
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import call

BOOK = PriceBook.from_litellm_map(find_litellm_map())


def test_a_share_of_the_blocks_is_drawn_and_the_same_each_time() -> None:
    blocks = range(5000)
    first = [drawn(block, 0.3) for block in blocks]
    assert first == [drawn(block, 0.3) for block in blocks]
    assert sum(first) / len(first) == pytest.approx(0.3, abs=0.03)
    assert all(drawn(block, 0.5) for block in blocks if drawn(block, 0.3))
    assert all(drawn(block, 1.0) for block in blocks)


def log(seed: int, days: int = 40) -> Iterator[LoggedCall]:
    """Calls of which some ask the same at once; some six hours are busier and dearer than others."""
    rng = random.Random(seed)
    for block in range(days * 4):
        size, again = rng.randint(1, 12), rng.random()
        for n in range(size):
            text = "the same" if rng.random() < again else f"{block} {n}"
            said = {"messages": [{"role": "user", "content": text}], "temperature": 0}
            at = (block + n / size) * BLOCK_S
            yield call(at, body=said, ended=at + 1, input=rng.randint(100, 3000), output=100)


def audited(seed: int, share: float) -> tuple[Account, Steps, Errors | None]:
    made, groups, account = Audit(BOOK, similar=False), Groups(BOOK), Account(share)
    for one in log(seed):
        if account.take(one):
            made.see(one, "desk")
            groups.see(one, "desk")
    whole = steps(made.lines(), made.projections())
    return account, whole, groups.errors(whole, share)


def test_the_interval_holds_what_all_of_the_log_tells() -> None:
    """In 19 of 20 logs, as a rule; of ten made ones in eight at least."""
    held = 0
    for seed in range(10):
        account, part, errors = audited(seed, 0.4)
        _, whole, _ = audited(seed, 1.0)
        assert errors is not None
        of_all = Decimal(account.calls) / account.drawn
        held += abs(part.paid * of_all - whole.paid) <= errors.paid * of_all
    assert held >= 8


def test_a_call_that_is_not_drawn_is_counted() -> None:
    account, _, _ = audited(1, 0.4)
    calls = list(log(1))
    assert account.calls == len(calls)
    assert account.drawn == sum(drawn(block_of(one.at), 0.4) for one in calls)
    assert len(account.blocks) == 160
    assert (account.first, account.last) == (calls[0].at, calls[-1].at)


def test_of_all_there_is_no_error_and_of_a_few_blocks_none_is_told() -> None:
    _, _, errors = audited(1, 1.0)
    assert errors is not None
    assert errors.paid == 0
    groups = Groups(BOOK)
    groups.see(call(0, input=10), "desk")
    assert groups.errors(steps([], Audit(BOOK, similar=False).projections()), 0.5) is None
