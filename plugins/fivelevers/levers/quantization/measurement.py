"""What was measured of both models on the target hardware, as a hardware report has it. Pure.

    {"gpu": "H100 SXM", "gpus": 1, "vllm": "0.23.0", "service_level": "p95 TTFT below 500 ms",
     "baseline": [{"seconds": 60, "requests": 900, "errors": 0, "input_tokens": 460800, "output_tokens": 115200,
                   "cached_tokens": 0}, ...],
     "candidate": [...]}

The first load of each is the route's own, at the concurrency that just keeps the service level; further ones, of other
lengths, tell what a token of each kind takes. Tokens and requests are totals over ``seconds``; ``errors`` come beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fivelevers.levers.quantization.economics import Throughput
from fivelevers.levers.quantization.pricing import Run

_COUNTS = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens")


@dataclass(frozen=True, slots=True)
class Load:
    """Totals of one load on one model."""

    seconds: float
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """``vllm``: the version that was measured; ``service_level`` is for people. Both models have a load or more."""

    gpu: str
    gpus: int
    vllm: str
    service_level: str
    baseline: tuple[Load, ...]
    candidate: tuple[Load, ...]


def measurement(found: Mapping[str, Any]) -> Measurement:
    """Raises ValueError that names the field, its value and the fix."""
    gpus = found.get("gpus", 1)
    if not isinstance(gpus, int) or isinstance(gpus, bool) or gpus < 1:
        raise ValueError(f"gpus: {gpus!r} is no number of GPUs of one replica; write 1 or more")
    words = {name: found.get(name, "") for name in ("gpu", "vllm", "service_level")}
    for name, value in words.items():
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"{name}: {value!r} is no text; write what was measured on, by, and within which limit")
    loads = {arm: _loads(arm, found.get(arm)) for arm in ("baseline", "candidate")}
    return Measurement(words["gpu"], gpus, words["vllm"], words["service_level"], **loads)


def throughput(made: Measurement, load: Load) -> Throughput:
    served = max(load.requests, 1)
    sizes = load.input_tokens / served, load.output_tokens / served
    return Throughput(load.requests / load.seconds, load.requests, load.errors, *sizes, made.gpu, made.gpus)


def runs(loads: tuple[Load, ...]) -> list[Run]:
    """As `pricing.rates` takes them."""
    return [
        Run(load.seconds, load.input_tokens - load.cached_tokens, load.output_tokens, load.cached_tokens)
        for load in loads
    ]


def _loads(arm: str, given: Any) -> tuple[Load, ...]:
    if not isinstance(given, list) or not given:
        raise ValueError(f"{arm}: {given!r} is no list of loads; measure one or more")
    return tuple(_load(f"{arm}.{at}", load) for at, load in enumerate(given))


def _load(place: str, given: Any) -> Load:
    if not isinstance(given, Mapping):
        raise ValueError(f"{place}: {given!r} is no load; write seconds, requests, input_tokens, output_tokens")
    seconds = given.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < float("inf"):
        raise ValueError(f"{place}.seconds: {seconds!r} is no time; write how long it was measured")
    counts = {name: given.get(name, 0 if name in ("errors", "cached_tokens") else None) for name in _COUNTS}
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{place}.{name}: {value!r} is no count; write 0 or more")
    if counts["cached_tokens"] > counts["input_tokens"]:
        raise ValueError(f"{place}.cached_tokens: {counts['cached_tokens']} is more than input_tokens")
    if not counts["requests"]:
        raise ValueError(f"{place}.requests: 0 answers nothing; measure again")
    return Load(float(seconds), **counts)
