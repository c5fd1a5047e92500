"""Bounds: the published numbers, and coverage under optional stopping."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.bound import ALPHA, Rolling, needed, needed_at, upper

PROMISE = 0.03


@pytest.mark.parametrize(("wrong", "audited"), [(0, 99), (1, 157), (2, 208), (5, 348)])
def test_how_many_audited_hits_the_promise_takes(wrong: int, audited: int) -> None:
    assert needed(wrong, PROMISE) == audited
    assert upper(wrong, audited) <= PROMISE < upper(wrong, audited - 1)


def test_a_rate_beyond_the_promise_is_never_proven() -> None:
    assert needed_at(PROMISE, PROMISE) is None
    assert needed_at(0.0, PROMISE) == 99
    assert 300 < (needed_at(0.015, PROMISE) or 0) < 600


@given(st.integers(0, 500), st.integers(0, 500))
def test_bounds_enclose_what_was_seen(wrong: int, right: int) -> None:
    rolling = Rolling(wrong + right, wrong)
    rate = wrong / (wrong + right) if wrong + right else 0.5
    assert 0 <= rolling.lower() <= rate <= rolling.upper() <= 1
    assert upper(wrong, wrong + right) <= rolling.upper() + 1e-9  # looking at any time costs something


@given(st.integers(0, 300), st.integers(0, 300))
def test_what_is_kept_is_not_breached(wrong: int, right: int) -> None:
    rolling = Rolling(wrong + right, wrong)
    assert not (rolling.kept(PROMISE) and rolling.breached(PROMISE))
    assert rolling.breached(PROMISE) == (rolling.lower() >= PROMISE or rolling.lower() == pytest.approx(PROMISE))


def test_without_audits_nothing_is_known() -> None:
    assert (Rolling().lower(), Rolling().upper()) == (0.0, 1.0)
    assert not Rolling().breached(PROMISE)


@pytest.mark.parametrize("rate", [0.03, 0.10])
def test_optional_stopping_errs_no_more_often_than_promised(rate: float) -> None:
    """Whoever looks after every fifth audit and stops where it suits them."""
    draws, runs, audits = random.Random(11), 200, 500
    above = below = 0
    for _ in range(runs):
        wrong, escaped = 0, [False, False]
        for audited in range(1, audits + 1):
            wrong += draws.random() < rate
            if audited % 5:
                continue
            rolling = Rolling(audited, wrong)
            escaped[0] = escaped[0] or rolling.breached(rate)
            escaped[1] = escaped[1] or (audited % 50 == 0 and rolling.upper() < rate)
        above, below = above + escaped[0], below + escaped[1]
    tolerated = runs * ALPHA + 3 * (runs * ALPHA) ** 0.5
    assert above <= tolerated
    assert below <= tolerated


def test_a_route_that_turns_bad_is_caught() -> None:
    draws, caught = random.Random(3), 0
    for _ in range(50):
        wrong = 0
        for audited in range(1, 401):
            wrong += draws.random() < 0.08
            if audited % 5 == 0 and Rolling(audited, wrong).breached(PROMISE):
                caught += 1
                break
    assert caught >= 45
