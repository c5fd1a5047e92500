"""One OpenTelemetry span per attempt, where the process has a tracer provider; otherwise nothing happens here.

Attribute names: OpenTelemetry's semantic conventions for generative AI (opentelemetry.io/docs/specs/semconv/gen-ai,
status: development), and ours under ``fivelevers.``. No content, no user, no key. The provider is whatever the process
registered as its global one: an agent's, the operator's own, or that of LiteLLM's `otel` callback.
"""

from __future__ import annotations

from typing import Any, Final

from fivelevers import __version__, metrics
from fivelevers.metering.event import Attempt, UsageSource
from fivelevers.request import Api

try:
    from opentelemetry import trace
except ImportError:  # the extra `otel`; LiteLLM's proxy brings it along
    trace = None  # type: ignore[assignment]

_OPERATIONS: Final = {Api.CHAT: "chat", Api.MESSAGES: "chat", Api.RESPONSES: "chat", Api.EMBEDDINGS: "embeddings"}
# LiteLLM's names that differ from the well-known values of `gen_ai.provider.name`.
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_NS_PER_S: Final = 1_000_000_000


def emit(attempt: Attempt, parent: Any = None) -> None:
    """A finished span from the attempt's start to its end.

    ``parent``: the span of the client's request as LiteLLM keeps it; without one, the current span of the context.
    """
    provider = None if trace is None else trace.get_tracer_provider()
    if provider is None or isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return
    try:
        _emit(provider, attempt, parent)
    except Exception as error:  # whatever an exporter does, the attempt is metered
        metrics.count_bypass("metering", "span", error)


def _emit(provider: trace.TracerProvider, attempt: Attempt, parent: Any) -> None:
    operation = _OPERATIONS.get(Api(attempt.api), attempt.api)
    span = provider.get_tracer("fivelevers", __version__).start_span(
        f"{operation} {attempt.alias}",
        context=None if parent is None else trace.set_span_in_context(parent),
        kind=trace.SpanKind.CLIENT,
        attributes={"gen_ai.operation.name": operation, **attributes(attempt)},
        start_time=int(attempt.started_at * _NS_PER_S),
    )
    if not attempt.success:
        span.set_status(trace.StatusCode.ERROR)
    span.end(int(attempt.at * _NS_PER_S))


def attributes(attempt: Attempt) -> dict[str, str | bool | int | float | tuple[str, ...]]:
    """What the span says; what is unknown is left out. Dollars are rounded to floats, the ledger has them exact."""
    usage = attempt.usage
    told: dict[str, Any] = {
        "gen_ai.provider.name": _PROVIDERS.get(attempt.provider, attempt.provider),
        "gen_ai.request.model": attempt.alias,
        "gen_ai.response.model": attempt.model if attempt.success else None,
        "gen_ai.response.finish_reasons": (attempt.finish_reason,) if attempt.finish_reason else None,
        "gen_ai.conversation.id": attempt.session,
        "error.type": None if attempt.success else attempt.error,
        "fivelevers.request": attempt.request_id,
        "fivelevers.route": attempt.route,
        "fivelevers.policy": attempt.policy,
        "fivelevers.holdout": attempt.holdout,
        "fivelevers.usage_source": attempt.usage_source.value,
    }
    if attempt.usage_source is not UsageSource.NONE:
        told |= {
            "gen_ai.usage.input_tokens": usage.prompt,  # cached ones included, as the conventions have it
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        }
    paid, without_us = attempt.cost_usd, attempt.cost_without_us_usd
    if paid is not None and without_us is not None:
        told["fivelevers.cost_usd"] = float(paid)
        told["fivelevers.cost_without_us_usd"] = float(without_us)
        told["fivelevers.saved_usd"] = float(without_us - paid)
    return {name: value for name, value in told.items() if value is not None}
