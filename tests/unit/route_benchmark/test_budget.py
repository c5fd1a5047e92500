"""What was spent, may be spent, and may have been spent by calls that were never heard of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.route_benchmark.budget import Budget, BudgetSpentError

ONE = Decimal(1)


def test_a_call_counts_with_the_most_until_it_is_heard_of() -> None:
    budget = Budget(Decimal(2), lambda _: None)
    with budget.hold("a", ONE):
        assert (budget.taken_usd, budget.busy, budget.affords(ONE), budget.affords(ONE * 2)) == (ONE, True, True, False)
        budget.heard("a", Decimal("0.25"), {})
    assert (budget.taken_usd, budget.spent_usd, budget.busy) == (Decimal("0.25"), Decimal("0.25"), False)


def test_one_that_was_never_heard_of_stays_taken() -> None:
    budget = Budget(Decimal(2), lambda _: None)
    with pytest.raises(OSError, match="gone"), budget.hold("a", ONE):
        raise OSError("gone")
    assert (budget.spent_usd, budget.unheard_usd) == (Decimal(0), ONE)
    with pytest.raises(BudgetSpentError), budget.hold("b", Decimal("1.01")):
        pass


@given(st.lists(st.tuples(st.sampled_from(["heard", "lost", "killed"]), st.integers(0, 100)), max_size=20))
def test_a_budget_that_is_replayed_is_the_budget_that_was(ends: list[tuple[str, int]]) -> None:
    """Killed: nothing more was written of it, nor of any later one."""
    written: list[dict[str, Any]] = []
    budget = Budget(Decimal(10_000), lambda record: written.append(dict(record)))
    for at, (end, cents) in enumerate(ends):
        with budget.hold(str(at), ONE):
            if end == "heard":
                budget.heard(str(at), Decimal(cents) / 100, {"call": "x"})
    again = Budget(Decimal(10_000), lambda _: None)
    again.replay(written)
    assert (again.spent_usd, again.unheard_usd) == (budget.spent_usd, budget.unheard_usd)
