"""What a GPU can do, what fits into it, and whether it pays."""

from __future__ import annotations

from math import inf

import pytest

from fivelevers.levers.quantization.checkpoint import shape_of
from fivelevers.levers.quantization.hardware import Gpu, Support, fit, returns, supported
from tests.unit.levers.quantization.test_checkpoint import LLAMA_8B

SHAPE = shape_of(LLAMA_8B)


@pytest.mark.parametrize(
    ("capability", "support"),
    [
        ((9, 0), Support.FULL),
        ((8, 9), Support.FULL),
        ((10, 0), Support.FULL),
        ((8, 6), Support.WEIGHTS),
        ((8, 0), Support.WEIGHTS),
        ((7, 5), Support.WEIGHTS),
        ((7, 0), Support.NONE),
    ],
)
def test_what_each_generation_can_do(capability: tuple[int, int], support: Support) -> None:
    found = supported(Gpu("a GPU", capability, 24.0))
    assert found.support is support
    assert f"{capability[0]}.{capability[1]}" in found.why


def test_fp8_fits_where_bf16_leaves_no_room() -> None:
    gpu = Gpu("L4", (8, 9), 24.0)
    bf16 = fit(SHAPE.bf16_bytes, SHAPE, gpu, gpus=1, context=8192, concurrency=8)
    fp8 = fit(SHAPE.fp8_bytes, SHAPE, gpu, gpus=1, context=8192, concurrency=8)
    assert bf16.kv_gib == fp8.kv_gib == 8.0
    assert not bf16.fits
    assert fp8.fits
    assert (bf16.sequences, fp8.sequences) == (4, 11)


def test_two_gpus_share_weights_and_cache() -> None:
    one, two = (
        fit(SHAPE.bf16_bytes, SHAPE, Gpu("L4", (8, 9), 24.0), gpus=gpus, context=8192, concurrency=8) for gpus in (1, 2)
    )
    assert two.weights_gib == one.weights_gib / 2
    assert two.kv_gib == one.kv_gib / 2


def test_a_load_that_one_replica_bears_saves_nothing() -> None:
    found = returns(2.0, 10.0, 15.0, gpu_hour_usd=3.0, utilisation=0.5, effort_usd=5000.0)
    assert (found.before, found.after, found.usd_a_month, found.months) == (1, 1, 0.0, inf)


def test_a_replica_less_pays_the_effort() -> None:
    found = returns(20.0, 10.0, 15.0, gpu_hour_usd=3.0, utilisation=0.5, effort_usd=4380.0)
    assert (found.before, found.after) == (4, 3)
    assert found.usd_a_month == 2190.0
    assert found.months == 2.0
