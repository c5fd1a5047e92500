"""Ours over bare, with intervals: pairs of blocks that ran one after the other, resampled within resampled boots."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.rig.load import KINDS

RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Block:
    """The same requests to both proxies: (bare, ours) milliseconds of each by kind, and seconds of processor time."""

    latency_ms: dict[str, list[tuple[float, float]]]
    cpu_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


Blocks = Sequence[Block]


def p50(blocks: Blocks) -> float:
    """The geometric mean over the kinds of each kind's median of paired ratios."""
    return _over_kinds(lambda kind: median(ours / bare for bare, ours in pairs(blocks, kind)))


def p99(blocks: Blocks) -> float:
    """The geometric mean over the kinds of one 99th percentile over the other."""
    return _over_kinds(lambda kind: percentile(blocks, kind, 0.99)[1] / percentile(blocks, kind, 0.99)[0])


def cpu(blocks: Blocks) -> float:
    return sum(block.cpu_s[1] for block in blocks) / sum(block.cpu_s[0] for block in blocks)


def pairs(blocks: Blocks, kind: str) -> list[tuple[float, float]]:
    return [pair for block in blocks for pair in block.latency_ms[kind]]


def percentile(blocks: Blocks, kind: str, share: float) -> tuple[float, float]:
    """(bare, ours) in milliseconds: the smallest value that ``share`` of the requests did not exceed."""
    sides = zip(*pairs(blocks, kind), strict=True)
    bare, ours = (sorted(side)[math.ceil(share * len(side)) - 1] for side in sides)
    return bare, ours


def with_interval(statistic: Callable[[Blocks], float], boots: Sequence[Blocks], seed: int) -> Ratio:
    """Boots are resampled first: two boots of one program differ by more than two blocks of one boot."""
    rng = random.Random(seed)
    found = sorted(statistic(_resampled(boots, rng)) for _ in range(RESAMPLES))
    everything = [block for blocks in boots for block in blocks]
    return Ratio(statistic(everything), found[int(RESAMPLES * 0.025)], found[int(RESAMPLES * 0.975)])


def _resampled(boots: Sequence[Blocks], rng: random.Random) -> list[Block]:
    chosen = rng.choices(boots, k=len(boots))
    return [block for blocks in chosen for block in rng.choices(blocks, k=len(blocks))]


def _over_kinds(ratio: Callable[[str], float]) -> float:
    return math.exp(fmean(math.log(ratio(kind)) for kind in KINDS))
