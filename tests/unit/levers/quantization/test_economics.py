"""The second verdict: cost per successful output on the target hardware."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fivelevers.levers.quantization.economics import Economics, Throughput, economics, usd_per_request
from fivelevers.levers.quantization.gate import Limits, quality
from fivelevers.levers.quantization.verdict import Verdict
from tests.unit.levers.quantization.made_up import scored

BF16 = Throughput(10.0, 2000, 0, 800.0, 200.0, "H100", 1)
EQUAL = quality(scored(20, 20, 1500), Limits())


def _judged(candidate: Throughput) -> Economics:
    return economics(EQUAL, BF16, candidate, gpu_hour_usd=3.6, utilisation=0.5)


def test_what_a_request_costs() -> None:
    assert usd_per_request(BF16, 3.6, 1.0) == pytest.approx(0.0001)
    assert usd_per_request(replace(BF16, gpus=2), 3.6, 0.5) == pytest.approx(0.0004)


def test_more_throughput_at_equal_quality_passes() -> None:
    found = _judged(replace(BF16, requests_per_s=13.0))
    assert found.verdict is Verdict.PASS
    assert found.saving == pytest.approx(1 - 10 / 13)
    assert 0 < found.least_saving < found.saving
    assert found.candidate_usd < found.baseline_usd


def test_no_more_throughput_fails() -> None:
    assert _judged(BF16).verdict is Verdict.FAIL
    assert _judged(replace(BF16, requests_per_s=9.0)).verdict is Verdict.FAIL


def test_a_gain_that_the_loss_may_eat_is_open() -> None:
    assert _judged(replace(BF16, requests_per_s=10.05)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "other", [{"gpu": "L40S"}, {"gpus": 2}, {"output_tokens": 100.0}, {"requests": 20}, {"errors": 100}]
)
def test_measurements_that_do_not_compare_never_pass(other: dict[str, float | str]) -> None:
    assert _judged(replace(BF16, requests_per_s=30.0, **other)).verdict is Verdict.INCONCLUSIVE  # type: ignore[arg-type]


@pytest.mark.parametrize("candidate", [BF16, replace(BF16, requests_per_s=30.0)])
def test_where_nothing_is_right_a_success_has_no_cost(candidate: Throughput) -> None:
    nothing = quality([replace(item, baseline=False, candidate=False) for item in scored(20, 20, 1500)], Limits())
    found = economics(nothing, BF16, candidate, gpu_hour_usd=3.6, utilisation=0.5)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_price_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        economics(EQUAL, BF16, BF16, gpu_hour_usd=0.0, utilisation=0.5)
