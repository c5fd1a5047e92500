"""What is judged, within which limits, and what a verdict changes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.judging import UNKNOWN, Said, Verdict
from fivelevers.levers.semantic_cache.serve import Decision, Reason
from fivelevers.levers.semantic_cache.verify import (
    NO_CHANGE,
    Budget,
    Change,
    Spent,
    after_audit,
    after_miss,
    to_compare,
)

HIT = Decision(True, Reason.SERVED, answer="a", question="q", candidates=("a", "b"))
MISS = Decision(False, Reason.SCORE, answer="a", question="q", candidates=("a", "b"))
PLENTY = Spent(requests=1000)


def test_a_miss_is_judged_against_its_candidates_and_a_hit_by_the_draw() -> None:
    budget = Budget(audited=0.1)
    assert to_compare(MISS, budget, PLENTY, draw=0.99) == ("a", "b")
    assert to_compare(HIT, budget, PLENTY, draw=0.09) == ("a",)
    assert to_compare(HIT, budget, PLENTY, draw=0.1) == ()


def test_nothing_is_judged_without_candidates_share_or_money() -> None:
    budget = Budget(max_share=0.5, max_usd=1.0)
    unlikely = Decision(False, Reason.SCORE, answer="a", question="q")
    assert to_compare(unlikely, budget, PLENTY, draw=0.0) == ()
    assert to_compare(MISS, budget, Spent(requests=10, judged=5), draw=0.0) == ()
    assert to_compare(MISS, budget, Spent(requests=10, judged=0, cost_usd=1.0), draw=0.0) == ()


@given(st.integers(0, 2**32), st.floats(0.05, 1.0), st.floats(0.3, 1.0))
def test_the_share_is_never_exceeded(seed: int, max_share: float, hits: float) -> None:
    draws, budget, judged = random.Random(seed), Budget(max_share=max_share), 0
    for requests in range(1, 400):
        decision = HIT if draws.random() < hits else MISS
        judged += bool(to_compare(decision, budget, Spent(requests, judged), draw=draws.random()))
        assert judged <= max_share * requests


def test_misses_leave_audits_their_part() -> None:
    budget, spent = Budget(max_share=0.5, audited=0.1), Spent(requests=100, judged=45)
    assert to_compare(MISS, budget, spent, draw=0.0) == ()
    assert to_compare(HIT, budget, spent, draw=0.0) == ("a",)


def test_only_a_verdict_of_same_makes_an_alias() -> None:
    assert after_miss(Verdict(Said.SAME, same=1), ("a", "b")) == Change(alias_of="b")
    for verdict in (None, Verdict(Said.DIFFERENT), UNKNOWN):
        assert after_miss(verdict, ("a", "b")) == Change(new=True)


def test_a_caught_wrong_hit_loses_its_alias_and_leaves_the_right_answer() -> None:
    assert after_audit(HIT, Verdict(Said.DIFFERENT)) == Change(new=True, forget="q")
    assert after_audit(HIT, Verdict(Said.SAME, same=0)) == Change(alias_of="a")
    assert after_audit(HIT, UNKNOWN) == NO_CHANGE
