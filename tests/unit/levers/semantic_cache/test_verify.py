"""How much is judged never exceeds its share, and audits come first."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.verify import Budget, Spent


@given(st.integers(0, 2**32), st.floats(0.05, 1.0), st.floats(0.3, 1.0))
def test_the_share_is_never_exceeded(seed: int, max_share: float, hits: float) -> None:
    draws, budget, spent = random.Random(seed), Budget(max_share, audited=0.05), Spent()
    for _ in range(400):
        spent = spent.after(judged=budget.allows(spent, audit=draws.random() < hits))
        assert spent.judged <= max_share * spent.requests


def test_misses_leave_audits_their_part() -> None:
    budget, spent = Budget(max_share=0.5, audited=0.1), Spent(requests=99, judged=45)
    assert not budget.allows(spent, audit=False)
    assert budget.allows(spent, audit=True)
