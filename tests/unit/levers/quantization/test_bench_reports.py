"""What is read of guidellm's and vLLM's reports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fivelevers.levers.quantization.bench_reports import GUIDELLM, VLLM, Tried, kind_of, parsed, tried
from tests.unit.levers.quantization.bench_documents import benchmark, guidellm, vllm


def read(text: str) -> list[Tried]:
    rows = parsed(text)
    kind = kind_of(rows)
    assert kind is not None
    return tried(rows, kind, "report.json")


def test_each_load_of_guidellm_is_read() -> None:
    first, second = read(guidellm(benchmark(16, 8.0, 200.0), benchmark(32, 12.5, 450.0, 30.0)))
    assert (first.by, first.place, second.place) == (GUIDELLM, "report.json, load 1", "report.json, load 2")
    assert second.at_once == 32
    assert second.per_s == pytest.approx(12.5)
    load = second.load
    assert load is not None
    assert (load.requests, load.input_tokens, load.output_tokens, load.cached_tokens) == (750, 384_000, 96_000, 0)
    assert load.seconds == pytest.approx(60)
    told = second.latencies_ms
    assert (told["p95_ttft_ms"], told["p50_ttft_ms"], told["p99_itl_ms"]) == (450.0, 225.0, 30.0)
    assert told["p95_e2el_ms"] == 2500.0  # guidellm tells the whole latency in seconds


def test_the_cached_part_of_prompts_is_read_where_the_server_told_it() -> None:
    (found,) = read(guidellm(benchmark(16, 8.0, 200.0, cached=384)))
    assert found.load is not None
    assert found.load.cached_tokens == pytest.approx(found.load.input_tokens * 0.75)


def test_a_load_without_an_answer_is_none() -> None:
    (found,) = read(guidellm(benchmark(16, 0.0, 0.0, errored=40)))
    assert (found.load, found.per_s) == (None, 0.0)


def test_one_line_of_vllm_is_one_load() -> None:
    lines = "\n".join(json.dumps(vllm(at_once, per_s, 300.0)) for at_once, per_s in ((16, 8.0), (32, 12.5)))
    first, second = read(lines)
    assert (first.by, first.at_once, second.at_once) == (VLLM, 16, 32)
    assert second.per_s == pytest.approx(12.5)
    assert second.load is not None
    assert (second.load.requests, second.load.input_tokens, second.load.errors) == (750, 384_000, 0)
    assert second.latencies_ms["p95_ttft_ms"] == 300.0
    (alone,) = read(json.dumps(vllm(16, 8.0, 300.0), indent=1))
    assert alone.place == "report.json"


def test_what_failed_is_told_of_prompts_where_vllm_does_not_say() -> None:
    row = vllm(16, 8.0, 300.0, num_prompts=500)
    del row["failed"]
    (found,) = read(json.dumps(row))
    assert found.load is not None
    assert found.load.errors == 20


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"max_concurrency": None}, "max_concurrency"),
        ({"duration": 0.0}, "duration"),
        ({"completed": -1}, "completed"),
        ({"total_output_tokens": "many"}, "total_output_tokens"),
    ],
)
def test_what_is_no_load_of_vllm_names_its_field(change: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        read(json.dumps(vllm(16, 8.0, 300.0) | change))


def test_a_metric_that_guidellm_lacks_is_named() -> None:
    one = benchmark(16, 8.0, 200.0)
    del one["metrics"]["inter_token_latency_ms"]
    with pytest.raises(ValidationError, match="inter_token_latency_ms"):
        read(guidellm(one))


@pytest.mark.parametrize("text", ["[]", "{}", '{"gpu": "H100"}', "3", '[{"benchmarks": []}]'])
def test_what_neither_wrote_is_seen(text: str) -> None:
    assert kind_of(parsed(text)) is None


@pytest.mark.parametrize("text", ["", "{", "{}\n{"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        parsed(text)


@given(at_once=st.integers(1, 4096), per_s=st.floats(0.1, 1e4), ttft=st.floats(0.01, 1e5))
def test_both_tools_tell_the_same_of_the_same(at_once: int, per_s: float, ttft: float) -> None:
    (one,), (other,) = read(guidellm(benchmark(at_once, per_s, ttft))), read(json.dumps(vllm(at_once, per_s, ttft)))
    assert one.load is not None
    assert other.load is not None
    assert (one.load.requests, one.load.input_tokens) == (other.load.requests, other.load.input_tokens)
    assert one.latencies_ms["p95_ttft_ms"] == other.latencies_ms["p95_ttft_ms"]
