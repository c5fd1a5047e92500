"""Reports as the two tools write them, for tests: their documented shapes, filled with numbers of our own.

guidellm 0.8.1, report schema 2 (its documentation: guides/outputs, guides/metrics); vLLM 0.23, `vllm bench serve
--append-result` (vllm/benchmarks/serve.py).
"""

from __future__ import annotations

import json
from typing import Any


def distribution(mean: float, count: int = 600, high: float | None = None) -> dict[str, Any]:
    """``high``: of the percentiles from p90 on."""
    top = mean if high is None else high
    percentiles = {"p001": mean, "p50": mean, "p90": top, "p95": top, "p99": top, "p999": top}
    return {"mean": mean, "median": mean, "count": count, "total_sum": mean * count, "percentiles": percentiles}


def metric(mean: float, count: int = 600, high: float | None = None) -> dict[str, Any]:
    nothing = distribution(0.0, 0)
    found = distribution(mean, count, high)
    return {"successful": found, "errored": nothing, "incomplete": nothing, "total": found}


def benchmark(
    at_once: int, per_s: float, ttft_ms: float, itl_ms: float = 20.0, *, size: tuple[int, int] = (512, 128), **more: Any
) -> dict[str, Any]:
    """One load of guidellm's, of a minute. ``more``: cached (a prompt, in tokens), errored."""
    done, (prompt, answer), errored = round(per_s * 60), size, more.get("errored", 0)
    row = {"type_": "generative_request_stats", "prompt_tokens": prompt, "cached_tokens": more.get("cached")}
    return {
        "type_": "generative_benchmark",
        "config": {"strategy": {"type_": "concurrent", "streams": at_once}},
        "duration": 60.0,
        "metrics": {
            "request_totals": {"successful": done, "errored": errored, "incomplete": 2, "total": done + errored + 2},
            "requests_per_second": metric(per_s, done),
            "request_concurrency": metric(at_once, done),
            "request_latency": metric(2.5, done),
            "prompt_token_count": metric(prompt, done),
            "output_token_count": metric(answer, done),
            "time_to_first_token_ms": metric(ttft_ms / 2, done, ttft_ms),
            "inter_token_latency_ms": metric(itl_ms / 2, done, itl_ms),
            "time_per_output_token_ms": metric(itl_ms, done),
            "output_tokens_per_second": metric(per_s * answer, done),
        },
        "requests": {"successful": [row] * 3, "errored": [], "incomplete": []},
    }


def guidellm(*benchmarks: dict[str, Any]) -> str:
    about = {"version": 2, "guidellm_version": "0.8.1"}
    return json.dumps({"metadata": about, "config": {}, "benchmarks": list(benchmarks), "conclusions": []})


def vllm(
    at_once: int, per_s: float, ttft_ms: float, *, size: tuple[int, int] = (512, 128), **more: Any
) -> dict[str, Any]:
    """One line of vLLM's, of a minute."""
    done, (prompt, answer) = round(per_s * 60), size
    return {
        "date": "20261126-120000",
        "backend": "vllm",
        "model_id": "llama",
        "num_prompts": done,
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": at_once,
        "duration": 60.0,
        "completed": done,
        "failed": 0,
        "total_input_tokens": done * prompt,
        "total_output_tokens": done * answer,
        "request_throughput": per_s,
        "output_throughput": per_s * answer,
        "total_token_throughput": per_s * (prompt + answer),
        "mean_ttft_ms": ttft_ms / 2,
        "p95_ttft_ms": ttft_ms,
        "p95_itl_ms": 20.0,
        **more,
    }
