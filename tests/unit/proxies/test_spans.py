"""One span per attempt where the process traces, nothing where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fivelevers import metrics
from fivelevers.engine import Answer, prepare
from fivelevers.metering.event import Attempt, UsageSource
from fivelevers.policy import EMPTY, Caller
from fivelevers.prices import PriceBook, Usage
from fivelevers.proxies.litellm import spans
from fivelevers.request import Api, parse
from tests.unit.events import attempt

ANSWERED = attempt(
    usage=Usage(input=100, cache_read=40, cache_write_5m=20, cache_write_1h=10, output=7),
    cost_usd=Decimal("0.25"),
    cost_without_us_usd=Decimal("1.5"),
    holdout=True,
)


def tracing(exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a process exports that has a tracer provider."""
    exporter = InMemorySpanExporter()
    provider = tracing(exporter)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def told(event: Attempt, exporter: InMemorySpanExporter) -> dict[str, Any]:
    spans.emit(event)
    return dict(only(exporter).attributes or {})


def test_an_answered_attempt(exporter: InMemorySpanExporter) -> None:
    assert told(ANSWERED, exporter) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "support-assistant",
        "gen_ai.response.model": "gpt-4.1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.conversation.id": "s",
        "gen_ai.usage.input_tokens": 170,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 30,
        "fivelevers.request": ANSWERED.request_id,
        "fivelevers.route": "support",
        "fivelevers.policy": "abc",
        "fivelevers.holdout": True,
        "fivelevers.usage_source": "reported",
        "fivelevers.cost_usd": 0.25,
        "fivelevers.cost_without_us_usd": 1.5,
        "fivelevers.saved_usd": 1.25,
    }
    span = only(exporter)
    assert (span.name, span.kind) == ("chat support-assistant", trace.SpanKind.CLIENT)
    assert (span.start_time, span.end_time) == (999 * 10**9, 1000 * 10**9)
    assert span.status.status_code is trace.StatusCode.UNSET
    assert span.parent is None


def test_a_failed_attempt(exporter: InMemorySpanExporter) -> None:
    failed = replace(ANSWERED, success=False, error="RateLimitError", usage=Usage(), usage_source=UsageSource.NONE)
    attributes = told(replace(failed, finish_reason=None), exporter)
    assert attributes["error.type"] == "RateLimitError"
    assert only(exporter).status.status_code is trace.StatusCode.ERROR
    absent = {"gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens"}
    assert not absent & attributes.keys()


def test_unknown_costs_are_left_out(exporter: InMemorySpanExporter) -> None:
    attributes = told(replace(ANSWERED, cost_usd=None, cost_parts=None, cost_without_us_usd=None), exporter)
    assert not {"fivelevers.cost_usd", "fivelevers.cost_without_us_usd", "fivelevers.saved_usd"} & attributes.keys()


@pytest.mark.parametrize(
    ("api", "provider", "operation", "named"),
    [
        ("messages", "anthropic", "chat", "anthropic"),
        ("responses", "azure", "chat", "azure.ai.openai"),
        ("embeddings", "vertex_ai", "embeddings", "gcp.vertex_ai"),
        ("other", "self_made", "other", "self_made"),
    ],
)
def test_names_are_the_conventions(
    exporter: InMemorySpanExporter, api: str, provider: str, operation: str, named: str
) -> None:
    attributes = told(replace(ANSWERED, api=api, provider=provider), exporter)
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.provider.name"]) == (operation, named)


def test_the_span_is_a_child_of_the_requests(exporter: InMemorySpanExporter) -> None:
    tracer = trace.get_tracer_provider().get_tracer("test")
    given, current = tracer.start_span("given"), tracer.start_span("current")
    with trace.use_span(current):
        spans.emit(ANSWERED, given)
        spans.emit(ANSWERED)
    parents = [span.parent.span_id for span in exporter.get_finished_spans() if span.parent is not None]
    assert parents == [given.get_span_context().span_id, current.get_span_context().span_id]


@pytest.mark.parametrize("provider", [trace.ProxyTracerProvider(), trace.NoOpTracerProvider()], ids=["default", "off"])
def test_nothing_is_done_without_a_provider(provider: trace.TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(spans, "attributes", None)  # calling it would fail, and be counted
    before = bypasses()
    spans.emit(ANSWERED)
    monkeypatch.setattr(spans, "trace", None)  # opentelemetry is not installed
    spans.emit(ANSWERED)
    assert bypasses() == before


def test_an_exporter_that_fails_is_counted_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(get_tracer=lambda *_: 1 / 0)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: broken)
    before = bypasses()
    spans.emit(ANSWERED)
    assert bypasses() == before + 1


def bypasses() -> float:
    return metrics.registry.get_sample_value("fivelevers_bypass_total", {"lever": "metering", "reason": "span"}) or 0.0


def test_the_proxy_emits_a_span_for_what_it_meters(callback: ModuleType, exporter: InMemorySpanExporter) -> None:
    request = parse(Api.CHAT, {"model": "support-assistant", "messages": [{"role": "user", "content": "a secret"}]})
    plan = prepare(request, {}, Caller("/v1/chat/completions", {}, "k"), EMPTY, request_id="r1", now=5.0)
    kept: list[Attempt] = []
    flight = callback.Flight(plan, SimpleNamespace(meter=SimpleNamespace(record=kept.append), prices=PriceBook({})))
    flight.span = trace.get_tracer_provider().get_tracer("litellm").start_span("Received Proxy Server Request")
    flight.record(
        Answer(
            at=7.5, started_at=6.0, model="gpt-4.1", provider="openai", provider_key=None, deployment=None,
            provider_request_id="p1", success=True, error=None, finish_reason="stop", usage=Usage(input=9, output=3),
            reported=True,
        )
    )  # fmt: skip
    span = only(exporter)
    assert [event.request_id for event in kept] == ["r1"]
    assert span.parent is not None
    assert span.parent.span_id == flight.span.get_span_context().span_id
    assert (span.start_time, span.end_time) == (6 * 10**9, 7_500_000_000)
    assert "secret" not in span.to_json()
