"""What guidellm and `vllm bench serve` report of the loads that they put on one model. Pure.

Shapes: guidellm's `--output kind=json` (report schema 2, as 0.8.1 writes it; its documentation, guides/outputs and
guides/metrics), and vLLM's `--save-result` or `--append-result` (vllm/benchmarks/serve.py, 0.23), which has one object,
or one a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from fivelevers.levers.quantization.measurement import Load

GUIDELLM: Final = "guidellm"
VLLM: Final = "vllm bench serve"
FIX: Final = {
    GUIDELLM: "write it with `guidellm run ... --output kind=json,path=FILE`, from 0.8 on",
    VLLM: "write it with `vllm bench serve ... --max-concurrency N --percentile-metrics ttft,itl,tpot,e2el "
    "--metric-percentiles 50,90,95,99 --append-result`",
}
PERCENTILES: Final = ("p50", "p90", "p95", "p99")
LATENCIES: Final = ("ttft", "itl", "tpot", "e2el")  # to the first token, between tokens, a token, of the whole answer

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Tried:
    """One load on one model. ``place``: file and number, for people. ``at_once``: requests on their way, or the most
    that might be. ``latencies_ms``: by the names of a service level, such as `p95_ttft_ms`; those that were told.
    ``load`` is None where nothing was answered.
    """

    by: str
    place: str
    at_once: float
    load: Load | None
    latencies_ms: Mapping[str, float]

    @property
    def per_s(self) -> float:
        return self.load.requests / self.load.seconds if self.load else 0.0


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Distribution(_Part):
    mean: Number
    total_sum: Number
    percentiles: dict[str, Number]


class _Metric(_Part):
    successful: _Distribution


class _Totals(_Part):
    successful: Count
    errored: Count


class _Metrics(_Part):
    request_totals: _Totals
    requests_per_second: _Metric
    request_concurrency: _Metric
    request_latency: _Metric  # seconds
    prompt_token_count: _Metric
    output_token_count: _Metric
    time_to_first_token_ms: _Metric
    inter_token_latency_ms: _Metric
    time_per_output_token_ms: _Metric


class _Request(_Part):
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


class _Requests(_Part):
    successful: list[_Request] | None = None


class _Benchmark(_Part):
    metrics: _Metrics
    requests: _Requests = _Requests()


class _Guidellm(_Part):
    benchmarks: list[_Benchmark] = Field(min_length=1)


class _Vllm(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    duration: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    completed: Count
    failed: Count | None = None
    num_prompts: Count = 0
    total_input_tokens: Count
    total_output_tokens: Count
    max_concurrency: Annotated[int, Field(gt=0)]


def parsed(text: str) -> list[Any]:
    """One JSON text, or one a line. Raises ValueError."""
    try:
        return [json.loads(text)]
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]


def kind_of(rows: list[Any]) -> str | None:
    """Which of the two wrote it; None where neither did."""
    first = rows[0] if isinstance(rows[0], dict) else {}
    if "benchmarks" in first:
        return GUIDELLM
    return VLLM if "total_input_tokens" in first else None


def tried(rows: list[Any], kind: str, name: str) -> list[Tried]:
    """Every load that it tells of. Raises ValidationError of pydantic where a field is not what it should be."""
    if kind == VLLM:
        return [_of_vllm(_Vllm.model_validate(row), _place(name, at, len(rows))) for at, row in enumerate(rows)]
    made = _Guidellm.model_validate(rows[0]).benchmarks
    return [_of_guidellm(one, _place(name, at, len(made))) for at, one in enumerate(made)]


def _place(name: str, at: int, count: int) -> str:
    return name if count == 1 else f"{name}, load {at + 1}"


def _of_guidellm(found: _Benchmark, place: str) -> Tried:
    """What was answered, and how long the server took for so many: requests that were cut off at the end are neither.

    A prompt's cached part is told request by request, where the server tells it.
    """
    made = found.metrics
    answered, per_s = made.request_totals.successful, made.requests_per_second.successful.mean
    load = None
    if answered and per_s > 0:
        tokens = round(made.prompt_token_count.successful.total_sum)
        load = Load(
            seconds=answered / per_s,
            requests=answered,
            errors=made.request_totals.errored,
            input_tokens=tokens,
            output_tokens=round(made.output_token_count.successful.total_sum),
            cached_tokens=round(_cached_share(found.requests.successful or []) * tokens),
        )
    return Tried(GUIDELLM, place, made.request_concurrency.successful.mean, load, dict(_percentiles(made)))


def _cached_share(requests: list[_Request]) -> float:
    whole = sum(one.prompt_tokens or 0 for one in requests)
    return min(1.0, sum(one.cached_tokens or 0 for one in requests) / whole) if whole else 0.0


def _percentiles(made: _Metrics) -> Iterator[tuple[str, float]]:
    metrics = (
        made.time_to_first_token_ms,
        made.inter_token_latency_ms,
        made.time_per_output_token_ms,
        made.request_latency,
    )
    for name, metric in zip(LATENCIES, metrics, strict=True):
        in_ms = 1000.0 if metric is made.request_latency else 1.0
        for percentile, value in metric.successful.percentiles.items():
            yield f"{percentile}_{name}_ms", value * in_ms


def _of_vllm(found: _Vllm, place: str) -> Tried:
    load = None
    if found.completed:
        failed = max(0, found.num_prompts - found.completed) if found.failed is None else found.failed
        load = Load(
            seconds=found.duration,
            requests=found.completed,
            errors=failed,
            input_tokens=found.total_input_tokens,
            output_tokens=found.total_output_tokens,
        )
    told = {name: float(value) for name, value in (found.model_extra or {}).items() if isinstance(value, int | float)}
    return Tried(VLLM, place, float(found.max_concurrency), load, told)
