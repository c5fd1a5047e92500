"""What was measured of both models on the target hardware, as a hardware report has it. Pure.

    {"gpu": "H100 SXM", "gpus": 1, "vllm": "0.23.0", "service_level": "p95 TTFT below 500 ms",
     "baseline": [{"seconds": 60, "requests": 900, "errors": 0, "input_tokens": 460800, "output_tokens": 115200,
                   "cached_tokens": 0}, ...],
     "candidate": [...]}

The first load of each is the route's own, at the concurrency that just keeps the service level; further ones, of other
lengths, tell what a token of each kind takes. Tokens and requests are totals over ``seconds``; ``errors`` come beside.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fivelevers.levers.quantization.economics import Throughput
from fivelevers.levers.quantization.pricing import Run
from fivelevers.levers.quantization.verdict import Finding, Verdict

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]


class Load(BaseModel):
    """Totals of one load on one model."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    requests: Annotated[int, Field(gt=0)]
    errors: Count = 0
    input_tokens: Count
    output_tokens: Count
    cached_tokens: Count = 0

    @model_validator(mode="after")
    def _cached_are_input(self) -> Load:
        if self.cached_tokens > self.input_tokens:
            raise ValueError(f"cached_tokens: {self.cached_tokens} is more than input_tokens, which hold them")
        return self


class Measurement(BaseModel):
    """``vllm``: the version that was measured; ``service_level`` is for people."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    gpu: Text
    gpus: Annotated[int, Field(ge=1)] = 1
    vllm: Text
    service_level: Text
    baseline: list[Load] = Field(min_length=1)
    candidate: list[Load] = Field(min_length=1)


def throughput(made: Measurement, load: Load) -> Throughput:
    sizes = load.input_tokens / load.requests, load.output_tokens / load.requests
    return Throughput(load.requests / load.seconds, load.requests, load.errors, *sizes, made.gpu, made.gpus)


def same_version(made: Measurement, served: str | None) -> Finding:
    """Another vLLM has other kernels, so that what was measured on one says little of the other."""
    rule = "measured version"
    if served is None or served == made.vllm:
        return Finding(rule, Verdict.PASS, f"vLLM {made.vllm}")
    why = f"the loads were measured on vLLM {made.vllm}, and the candidate is served by {served}; measure that one"
    return Finding(rule, Verdict.INCONCLUSIVE, why)


def runs(loads: list[Load]) -> list[Run]:
    """As `pricing.rates` takes them."""
    return [
        Run(load.seconds, load.input_tokens - load.cached_tokens, load.output_tokens, load.cached_tokens)
        for load in loads
    ]
