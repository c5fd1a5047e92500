"""Bursts and clocks: what a program does shows, and random traffic shows neither."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit.series import BURST_CALLS, Run, Series

HOUR_S = 3600.0


def runs(times: list[float], end_users: list[str] | None = None) -> list[Run]:
    series = Series()
    seen = [series.see(at, end_users[n] if end_users else None) for n, at in enumerate(times)]
    return list({id(run): run for run in seen}.values())


def test_a_burst_has_a_beginning_an_end_and_a_pace() -> None:
    quick = [n * 1.0 for n in range(BURST_CALLS)]
    (run,) = runs(quick)
    assert (run.calls, run.first, run.last, run.burst) == (BURST_CALLS, 0.0, BURST_CALLS - 1.0, True)
    assert not runs(quick[:-1])[0].burst
    assert not runs([n * 2.5 for n in range(100)])[0].burst  # too slow
    assert not runs([n * 1.0 for n in range(4000)])[0].burst  # more than half an hour: traffic
    assert [run.burst for run in runs([*quick, *(100 + at for at in quick)])] == [True, True]


def test_end_users_behind_it_make_it_people() -> None:
    quick = [n * 1.0 for n in range(100)]
    assert runs(quick, ["a", "b"] * 50)[0].burst
    assert not runs(quick, [f"user {n}" for n in range(100)])[0].burst


@pytest.mark.parametrize("a_minute", [2, 20, 60, 600])
def test_random_traffic_of_any_pace_is_no_burst(a_minute: float) -> None:
    chance, at, times = random.Random(1), 0.0, []
    for _ in range(20_000):
        at += chance.expovariate(a_minute / 60)
        times.append(at)
    found = runs(times)
    assert sum(run.calls for run in found if run.burst) < 20


@given(st.integers(0, 59), st.lists(st.floats(0, 59), min_size=5, max_size=80), st.sampled_from([1, 6, 24]))
def test_a_clock_shows_at_any_minute(minute: int, late_s: list[float], every_h: int) -> None:
    series = Series()
    for n, late in enumerate(late_s):
        assert (series.minute is None) == (n < 5)
        series.see(n * every_h * HOUR_S + minute * 60 + late, None)
    assert series.minute is not None
    assert series.minute in (minute, (minute - 1) % 60)
    series.see((len(late_s) + 1) * 24 * HOUR_S + minute * 60 + 600, None)
    assert series.minute is None


def test_people_show_no_clock() -> None:
    found = 0
    for seed in range(300):
        chance, series = random.Random(seed), Series()
        for day in range(30):
            series.see(day * 24 * HOUR_S + chance.uniform(8, 18) * HOUR_S, None)
            found += series.minute is not None
    assert found == 0
