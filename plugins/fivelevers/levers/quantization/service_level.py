"""Of the loads that were tried on a model, the one that it bears within the service level: its operating point. Pure.

Of each shape of load (mean lengths of prompt and answer within 10 %) it is the one with the most requests a second of
those that kept every limit. The shape that was tried first is the route's own. Whether a model bears more is only known
where a higher load was tried: it broke a limit, or brought no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fivelevers.levers.quantization.bench_reports import FIX, LATENCIES, PERCENTILES, Tried
from fivelevers.levers.quantization.economics import MOST_FAILED
from fivelevers.levers.quantization.measurement import Load
from fivelevers.levers.quantization.verdict import Finding, Verdict

RULE: Final = "service level"
ALIKE: Final = 1.1
LIMIT: Final = re.compile(rf"({'|'.join(PERCENTILES)})_({'|'.join(LATENCIES)})_ms")

Level = Mapping[str, float]
"""By name, such as `p95_ttft_ms`: the most that it may be, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Point:
    """``ceiling_per_s``: what higher loads reached, whether or not they kept the level; 0 where none was tried."""

    found: Tried
    load: Load
    ceiling_per_s: float


def points(loads: Sequence[Tried], level: Level) -> list[Point]:
    """One for each shape, the route's own first. Raises ValueError where a shape has none, or a limit was not told."""
    shapes: list[list[Tried]] = []
    for one in loads:
        if one.load is None:
            continue
        shape = next((shape for shape in shapes if shape[0].load and _alike(shape[0].load, one.load)), None)
        shapes.append([one]) if shape is None else shape.append(one)
    if not shapes:
        raise ValueError(f"{', '.join(one.place for one in loads)}: nothing was answered; measure anew")
    return [_point(shape, level) for shape in shapes]


def judged(baseline: Point, candidate: Point, level: Level) -> Finding:
    """Whether both are where they can do no more, so that the one's gain is none of the steps between the loads."""
    told = "; ".join(f"{who}: {_told(point, level)}" for who, point in _both(baseline, candidate))
    for who, point in _both(baseline, candidate):
        if not point.ceiling_per_s:
            why = f"of the {who} nothing above {_number(point.found.at_once)} at once was tried; measure higher loads"
            return Finding(RULE, Verdict.INCONCLUSIVE, f"{told}; {why}")
    if baseline.found.per_s < candidate.found.per_s <= baseline.ceiling_per_s:
        least, most = _number(baseline.found.at_once), f"{baseline.ceiling_per_s:,.2f}"
        why = f"above {least} at once the original reaches {most} requests/s; measure loads between"
        return Finding(RULE, Verdict.INCONCLUSIVE, f"{told}; {why}")
    return Finding(RULE, Verdict.PASS, told)


def _both(baseline: Point, candidate: Point) -> tuple[tuple[str, Point], tuple[str, Point]]:
    return ("original", baseline), ("candidate", candidate)


def _alike(one: Load, other: Load) -> bool:
    sizes = ((load.input_tokens / load.requests, load.output_tokens / load.requests) for load in (one, other))
    return all(max(pair) <= ALIKE * min(pair) for pair in zip(*sizes, strict=True))


def _point(shape: Sequence[Tried], level: Level) -> Point:
    kept = [one for one in shape if not [*_broken(one, level)]]
    if not kept:
        least = min(shape, key=lambda one: one.at_once)
        raise ValueError(f"{least.place}: {', '.join(_broken(least, level))}; measure fewer requests at once")
    best = max(kept, key=lambda one: one.per_s)
    higher = [one.per_s for one in shape if one.at_once > best.at_once]
    assert best.load is not None  # noqa: S101  # shapes hold none without
    return Point(best, best.load, max(higher, default=0.0))


def _broken(one: Tried, level: Level) -> Iterator[str]:
    """Raises ValueError where a limit has no figure: 0 ms is none, but of an answer that was not streamed."""
    if one.load and (failed := one.load.errors / (one.load.requests + one.load.errors)) > MOST_FAILED:
        yield f"{failed:.1%} of the requests failed"
    for name, limit in level.items():
        value = one.latencies_ms.get(name, 0.0)
        if value <= 0:
            raise ValueError(f"{one.place}: {name} was not measured; {FIX[one.by]}, with streamed answers")
        if value > limit:
            yield f"{name} is {value:,.1f}, above {limit:g}"


def _told(point: Point, level: Level) -> str:
    load, out = point.load, point.load.output_tokens / point.load.seconds
    tokens = f"{out:,.0f} output tokens/s, {out + load.input_tokens / load.seconds:,.0f} in all"
    limits = ", ".join(f"{name} {point.found.latencies_ms[name]:,.1f} of {limit:g}" for name, limit in level.items())
    return f"{_number(point.found.at_once)} at once, {point.found.per_s:,.2f} requests/s, {tokens}, {limits}"


def _number(at_once: float) -> str:
    return f"{round(at_once, 1):g}"
