"""The operating point of a model: what it bears within the service level, and whether that is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.quantization.bench_reports import GUIDELLM, Tried
from fivelevers.levers.quantization.measurement import Load
from fivelevers.levers.quantization.service_level import Point, judged, points
from fivelevers.levers.quantization.verdict import Verdict

LEVEL = {"p95_ttft_ms": 500.0}


def one(at_once: float, per_s: float, ttft_ms: float, size: tuple[int, int] = (512, 128), errors: int = 0) -> Tried:
    done = round(per_s * 100)
    load = Load(seconds=100.0, requests=done, errors=errors, input_tokens=done * size[0], output_tokens=done * size[1])
    return Tried(GUIDELLM, f"{at_once} at once", at_once, load, {"p95_ttft_ms": ttft_ms})


def steps(*ttfts: float, gain: float = 1.0) -> list[Tried]:
    """8, 16, 32, ... requests at once, each with less in return."""
    return [one(8 * 2**at, gain * (10 + 2 * at), ttft) for at, ttft in enumerate(ttfts)]


def point(loads: list[Tried]) -> Point:
    (found,) = points(loads, LEVEL)
    return found


def test_the_most_requests_a_second_within_the_level_count() -> None:
    found = point(steps(100, 300, 480, 700))
    assert (found.found.at_once, found.found.per_s, found.ceiling_per_s) == (32, 14.0, 16.0)


def test_more_at_once_that_bring_less_are_not_taken() -> None:
    found = point([one(8, 10.0, 100), one(16, 12.0, 200), one(32, 11.0, 400)])
    assert (found.found.at_once, found.ceiling_per_s) == (16, 11.0)


def test_each_shape_of_load_has_its_own_and_the_first_is_the_route_s() -> None:
    long = [one(4, 2.0, 400, (2048, 64)), one(8, 2.5, 900, (2048, 64))]
    found = points([*steps(100, 300), *long, one(16, 12.5, 400, (520, 126))], LEVEL)
    assert [(point.found.at_once, point.load.requests) for point in found] == [(16, 1250), (4, 200)]


def test_where_no_load_keeps_the_level_its_value_and_limit_are_named() -> None:
    with pytest.raises(ValueError, match=r"8 at once: p95_ttft_ms is 510.0, above 500; measure fewer"):
        points(steps(510, 700), LEVEL)


@pytest.mark.parametrize("level", [{"p95_itl_ms": 50.0}, {"p95_ttft_ms": 500.0, "p99_e2el_ms": 9000.0}])
def test_a_limit_that_was_not_measured_is_named(level: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"p9\d_\w+ was not measured; write it with `guidellm run"):
        points(steps(100, 300), level)


def test_0_ms_to_the_first_token_are_no_measurement() -> None:
    with pytest.raises(ValueError, match="not measured"):
        points(steps(0, 300), LEVEL)


def test_a_load_whose_requests_failed_keeps_nothing() -> None:
    found = point([one(8, 10.0, 100), one(16, 20.0, 100, errors=100)])
    assert (found.found.at_once, found.ceiling_per_s) == (8, 20.0)


def test_nothing_that_was_answered_is_said() -> None:
    with pytest.raises(ValueError, match="nothing was answered"):
        points([Tried(GUIDELLM, "bf16.json", 8, None, {})], LEVEL)


def test_a_gain_between_points_that_are_known_passes() -> None:
    found = judged(point(steps(100, 300, 700)), point(steps(90, 250, 600, gain=1.4)), LEVEL)
    assert found.verdict is Verdict.PASS
    assert found.why.startswith("original: 16 at once, 12.00 requests/s, 1,536 output tokens/s, 7,680 in all, p95_ttft")


@pytest.mark.parametrize(("baseline", "candidate"), [((100, 300), (90, 200, 600)), ((100, 300, 700), (90, 250))])
def test_a_model_of_which_no_higher_load_was_tried_is_open(
    baseline: tuple[float, ...], candidate: tuple[float, ...]
) -> None:
    found = judged(point(steps(*baseline)), point(steps(*candidate, gain=1.4)), LEVEL)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "nothing above 16 at once was tried" in found.why


def test_a_gain_that_the_steps_between_loads_may_explain_is_open() -> None:
    found = judged(point(steps(100, 300, 501)), point(steps(100, 300, 499, 900)), LEVEL)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "above 16 at once the original reaches 14.00 requests/s" in found.why


@given(st.lists(st.tuples(st.floats(0.5, 100), st.floats(1, 1000)), min_size=1, max_size=8))
def test_no_load_within_the_level_brings_more_than_the_point(found: list[tuple[float, float]]) -> None:
    loads = [one(at + 1, per_s, ttft) for at, (per_s, ttft) in enumerate(found)]
    kept = [load for load in loads if load.latencies_ms["p95_ttft_ms"] <= 500]
    if not kept:
        with pytest.raises(ValueError, match="above 500"):
            points(loads, LEVEL)
        return
    assert point(loads).found.per_s == max(load.per_s for load in kept)
