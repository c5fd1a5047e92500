"""Prices from GPU time."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.quantization.pricing import Run, rates


def runs_of(of_input: float, of_output: float, of_cached: float, *, cached: bool) -> list[Run]:
    """A server whose every token takes so many microseconds."""
    shapes = product((200_000, 900_000), (50_000, 400_000), (0, 600_000) if cached else (0,))
    return [Run((u * of_input + o * of_output + c * of_cached) / 1e6, u, o, c) for u, o, c in shapes]


@given(st.floats(1, 100), st.floats(1, 1000), st.floats(0.1, 10))
def test_the_rates_are_found_again(of_input: float, of_output: float, of_cached: float) -> None:
    runs = runs_of(of_input, of_output, of_cached, cached=True)
    found = rates(runs, gpu_hour_usd=3.6, gpus=2, utilisation=0.5)
    dollar = 3.6 * 2 / 3600 / 0.5 / 1e6
    assert float(found.input_usd) == pytest.approx(of_input * dollar, rel=1e-4)
    assert float(found.output_usd) == pytest.approx(of_output * dollar, rel=1e-4)
    assert float(found.cached_usd) == pytest.approx(of_cached * dollar, rel=1e-3)
    assert found.worst < 1e-6


def test_at_a_third_of_the_utilisation_tokens_cost_three_times_as_much() -> None:
    runs = runs_of(10, 100, 1, cached=False)
    busy, idle = (rates(runs, gpu_hour_usd=3.6, gpus=1, utilisation=share) for share in (0.9, 0.3))
    assert float(idle.output_usd / busy.output_usd) == pytest.approx(3.0)


def test_cached_tokens_that_were_never_measured_cost_what_input_does() -> None:
    found = rates(runs_of(10, 100, 1, cached=False), gpu_hour_usd=3.6, gpus=1, utilisation=1.0)
    assert found.cached_usd == found.input_usd > Decimal(0)


def test_runs_of_one_shape_are_refused() -> None:
    same = [Run(10.0 * n, 100 * n, 50 * n) for n in (1, 2, 3)]
    with pytest.raises(ValueError, match="several prompt lengths"):
        rates(same, gpu_hour_usd=3.6, gpus=1, utilisation=1.0)


def test_runs_that_no_rates_describe_are_refused() -> None:
    odd = [Run(1.0, 1000, 100), Run(50.0, 1000, 110), Run(1.0, 4000, 120)]
    with pytest.raises(ValueError, match="measure anew"):
        rates(odd, gpu_hour_usd=3.6, gpus=1, utilisation=1.0)


@pytest.mark.parametrize("wrong", [{"gpu_hour_usd": 0.0}, {"gpus": 0}, {"utilisation": 0.0}, {"utilisation": 1.2}])
def test_a_token_never_costs_nothing(wrong: dict[str, float]) -> None:
    terms = {"gpu_hour_usd": 3.6, "gpus": 1, "utilisation": 0.5} | wrong
    with pytest.raises(ValueError, match="above 0"):
        rates(runs_of(10, 100, 1, cached=False), **terms)  # type: ignore[arg-type]
