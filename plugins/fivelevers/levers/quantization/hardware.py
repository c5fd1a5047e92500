"""Whether FP8 can help on this hardware, whether it fits, and whether the effort returns. Pure.

Compute capabilities as vLLM's documentation states them (quantization/fp8, 2026-11): FP8 products from 8.9 on (Ada,
Hopper); from 7.5 to 8.8 weights alone, unpacked by Marlin kernels: memory is won, and little else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, inf
from typing import Final

from fivelevers.levers.quantization.checkpoint import Shape

GIB: Final = 2**30
SPARE_GIB: Final = 2.0  # activations, CUDA graphs, the runtime itself, on each GPU
USABLE: Final = 0.9  # of a GPU's memory: vLLM's default
HOURS_A_MONTH: Final = 730.0


class Support(StrEnum):
    FULL = "W8A8"
    WEIGHTS = "weight-only"
    NONE = "refused"


@dataclass(frozen=True, slots=True)
class Gpu:
    """``capability``: major and minor, as `nvidia-smi --query-gpu=compute_cap` says."""

    name: str
    capability: tuple[int, int]
    memory_gib: float
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Supported:
    support: Support
    why: str


def supported(gpu: Gpu) -> Supported:
    shown = f"{gpu.name}: compute capability {gpu.capability[0]}.{gpu.capability[1]}"
    if gpu.capability >= (8, 9):
        return Supported(Support.FULL, f"{shown}: multiplies in FP8")
    if gpu.capability >= (7, 5):
        why = f"{shown}: no FP8 products; weights alone are FP8, which saves memory and may even be slower: measure it"
        return Supported(Support.WEIGHTS, why)
    return Supported(Support.NONE, f"{shown}: vLLM runs no FP8 below 7.5; serve the original")


@dataclass(frozen=True, slots=True)
class Fit:
    """Per GPU, in GiB. ``sequences``: of the wanted context, how many the KV cache holds at once."""

    weights_gib: float
    kv_gib: float
    memory_gib: float
    sequences: int

    @property
    def fits(self) -> bool:
        return self.weights_gib + self.kv_gib + SPARE_GIB <= USABLE * self.memory_gib


def fit(weights_bytes: int, shape: Shape, gpu: Gpu, *, gpus: int, context: int, concurrency: int) -> Fit:
    """``gpus``: over which one replica is spread (tensor parallel). ``context`` in tokens, of each sequence."""
    a_sequence = shape.kv_bytes_per_token * context / GIB / gpus
    weights = weights_bytes / GIB / gpus
    left = USABLE * gpu.memory_gib - weights - SPARE_GIB
    return Fit(weights, a_sequence * concurrency, gpu.memory_gib, max(0, int(left / a_sequence) if a_sequence else 0))


@dataclass(frozen=True, slots=True)
class Returns:
    """Replicas that the load takes in either, what is saved a month, and after how many months the effort is paid."""

    before: int
    after: int
    usd_a_month: float
    months: float


def returns(
    load_per_s: float,
    before_per_s: float,
    after_per_s: float,
    *,
    gpu_hour_usd: float,
    utilisation: float,
    effort_usd: float,
) -> Returns:
    """``before_per_s`` and ``after_per_s``: requests that a replica answers within the service level, at
    ``gpu_hour_usd`` for all of its GPUs.

    Whole replicas: where the load fits the same number of them, a higher throughput saves nothing.
    """
    before, after = (max(1, ceil(load_per_s / (rate * utilisation))) for rate in (before_per_s, after_per_s))
    saved = (before - after) * gpu_hour_usd * HOURS_A_MONTH
    return Returns(before, after, saved, effort_usd / saved if saved > 0 else inf)
