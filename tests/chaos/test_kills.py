"""A short run of `make chaos`, and proof that its counts can be other than 0."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.batch_chaos import BROKEN, UNHEARD, Variant, measure
from benchmarks.rig.lane_arena import Plan


def test_nothing_is_lost_sent_twice_mixed_up_or_stuck() -> None:
    variant = Variant("quick", 3, faults=UNHEARD, stops=5, redis_kills=5)
    count = measure(variant, Plan(seed=1, workers=3, requests=300, kills=6, drain_s=90))
    assert (count.lost, count.duplicate, count.wrong_join, count.stuck) == (0, 0, 0, 0), count
    assert (count.accepted, count.kills) == (300, 6)


def test_a_worker_that_sends_creates_again_is_found_out() -> None:
    variant = replace(BROKEN[0], faults=({**UNHEARD[1], "rate": 1.0, "times": 3},))
    count = measure(variant, Plan(seed=1, workers=1, requests=60, kills=0, drain_s=60))
    assert count.duplicate > 0
    assert (count.lost, count.stuck) == (0, 0)
