"""What Prometheus scrapes. Base units, ``_total``, labels route, model and lever only: never a user or a request id.

With several proxy workers, set PROMETHEUS_MULTIPROC_DIR (prometheus_client's own convention): each scrape then sums
over all of them. Without it a scrape sees the worker that answers it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from fivelevers.errors import FiveLeversError
from fivelevers.metering.event import Attempt, OutcomeSeen
from fivelevers.prices import Kind, Price, Usage

_M = TypeVar("_M", Counter, Histogram)

_log = logging.getLogger("fivelevers")
_LOG_AGAIN_AFTER_S = 60.0

registry = CollectorRegistry(auto_describe=True)

cost_usd = Counter("fivelevers_cost_usd", "What providers were paid.", ["route", "model"], registry=registry)
baseline_cost_usd = Counter(
    "fivelevers_baseline_cost_usd", "What the same requests had cost with every lever off.", ["route", "model"],
    registry=registry,
)  # fmt: skip
saved_usd = Counter("fivelevers_saved_usd", "Saved by a lever.", ["route", "lever"], registry=registry)
lost_usd = Counter("fivelevers_lost_usd", "Paid more because of a lever.", ["route", "lever"], registry=registry)
tokens = Counter("fivelevers_tokens", "Tokens by kind.", ["route", "model", "kind"], registry=registry)
unpriced = Counter(
    "fivelevers_unpriced_attempts", "Attempts whose price is unknown.", ["route", "model"], registry=registry
)
outcomes = Counter("fivelevers_outcomes", "Outcomes as they became known.", ["outcome", "source"], registry=registry)
requests = Counter("fivelevers_requests", "Decisions of a lever.", ["lever", "result"], registry=registry)
bypass = Counter(
    "fivelevers_bypass", "Requests that went on without a lever, since it could not act.", ["lever", "reason"],
    registry=registry,
)  # fmt: skip
store_changes = Counter(
    "fivelevers_store_changes", "Times that a lever's store was left alone (away), and was used again (back).",
    ["lever", "state"], registry=registry,
)  # fmt: skip
retreats = Counter(
    "fivelevers_retreats", "Times that a guard put a lever back to shadow.", ["route", "lever"], registry=registry
)
prefix_lost_tokens = Counter(
    "fivelevers_prefix_lost_tokens", "Prompt tokens behind the first difference of like prompts.", ["route", "model"],
    registry=registry,
)  # fmt: skip
decision_seconds = Histogram(
    "fivelevers_decision_seconds", "Time that a request waited for its plan.", ["route"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1), registry=registry,
)  # fmt: skip
prompt_cache_tokens = Counter(
    "fivelevers_prompt_cache_tokens", "Prompt tokens that were read, written, and wasted: written and never read.",
    ["route", "model", "result"], registry=registry,
)  # fmt: skip
prompt_cache_usd = Counter(
    "fivelevers_prompt_cache_usd", "What these tokens cost; wasted: their premium alone.",
    ["route", "model", "result"], registry=registry,
)  # fmt: skip
prompt_cache_evicted_tokens = Counter(
    "fivelevers_prompt_cache_evicted_tokens", "Tokens that were believed cached and were gone.", ["route", "model"],
    registry=registry,
)  # fmt: skip
look_ups = Counter(
    "fivelevers_semantic_cache_lookups", "Requests of lever 2, by what became of them.", ["route", "result"],
    registry=registry,
)  # fmt: skip
look_up_seconds = Histogram(
    "fivelevers_semantic_cache_lookup_seconds", "Time that a request waited for its look-up.", ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5), registry=registry,
)  # fmt: skip
lane_requests = Counter(
    "fivelevers_lane_requests", "Requests that came to the batch lane, by what became of them.", ["result"],
    registry=registry,
)  # fmt: skip
lane_queued = Gauge(
    "fivelevers_lane_queued", "Requests that wait in the lane for their batch.", ["model"], registry=registry,
    multiprocess_mode="livemax",
)  # fmt: skip
lane_in_flight = Gauge(
    "fivelevers_lane_in_flight", "Accepted requests in a batch (batch), asked live (live), ended and not metered yet "
    "(untold).", ["kind"], registry=registry, multiprocess_mode="livemax",
)  # fmt: skip
lane_overdue_seconds = Gauge(
    "fivelevers_lane_overdue_seconds", "For how long the first request of a queue should have been sent.",
    registry=registry, multiprocess_mode="livemax",
)  # fmt: skip
spool_bytes = Gauge(
    "fivelevers_spool_bytes", "Accepted events that the ledger does not have yet.", registry=registry,
    multiprocess_mode="livemax",
)  # fmt: skip
policy_bad = Gauge(
    "fivelevers_policy_bad", "1 while the policy file is unusable and the last good policy acts.", registry=registry,
    multiprocess_mode="livemax",
)  # fmt: skip


def count_attempt(attempt: Attempt) -> None:
    """Add one attempt to the counters."""
    route, model = attempt.route, attempt.model
    for kind, count in attempt.usage.items():
        if count:
            _child(tokens, route, model, kind).inc(count)
    if attempt.cost_usd is None or attempt.cost_without_us_usd is None:
        _child(unpriced, route, model).inc()
        return
    _child(cost_usd, route, model).inc(float(attempt.cost_usd))
    _child(baseline_cost_usd, route, model).inc(float(attempt.cost_without_us_usd))
    for part in attempt.savings:
        counter = saved_usd if part.usd >= 0 else lost_usd
        _child(counter, route, part.lever).inc(float(abs(part.usd)))


@lru_cache(maxsize=1024)
def _child(metric: _M, *labels: str) -> _M:
    """`labels` checks and locks each time: this is the same child."""
    return metric.labels(*labels)


def count_prompt_cache(route: str, model: str, usage: Usage, price: Price, *, evicted: int) -> None:
    """What one attempt read and wrote, and what it should have read and did not find."""
    results = {Kind.CACHE_READ: "read", Kind.CACHE_WRITE_5M: "written", Kind.CACHE_WRITE_1H: "written"}
    for kind, count in usage.items():
        result = results.get(kind)
        rate = price.rate(kind, prompt_tokens=usage.prompt)
        if result and count:
            prompt_cache_tokens.labels(route, model, result).inc(count)
            prompt_cache_usd.labels(route, model, result).inc(count * float(rate or 0))
    if evicted:
        prompt_cache_evicted_tokens.labels(route, model).inc(evicted)


def count_wasted(route: str, model: str, count: int, premium_usd: float) -> None:
    """Tokens that were written and never read; ``premium_usd``: what they cost above being uncached."""
    prompt_cache_tokens.labels(route, model, "wasted").inc(count)
    prompt_cache_usd.labels(route, model, "wasted").inc(premium_usd)


def count_outcome(seen: OutcomeSeen) -> None:
    outcomes.labels(seen.outcome.value, seen.source.value).inc()


def count_retreat(route: str, lever: str) -> None:
    retreats.labels(route, lever).inc()


def time_decision(route: str, took_s: float) -> None:
    _child(decision_seconds, route).observe(took_s)


def count_look_up(route: str, result: str) -> None:
    _child(look_ups, route, result).inc()


def time_look_up(route: str, took_s: float) -> None:
    _child(look_up_seconds, route).observe(took_s)


def count_lane(lane: str, why: str) -> None:
    """One decision of lever 3: `batch`, or `live-` and why; in shadow mode what had been batched is `shadow-batch`."""
    result = lane if lane == "batch" else "shadow-batch" if why == "shadow" else f"live-{why}"
    _child(requests, "batch", result).inc()


def count_in_lane(result: str) -> None:
    _child(lane_requests, result).inc()


def show_lane(queued: Mapping[str, int], *, overdue_s: float, at_providers: int, asked_live: int, untold: int) -> None:
    """What the lane holds; ``queued`` by model."""
    for model, count in queued.items():
        lane_queued.labels(model).set(count)
    for kind, count in (("batch", at_providers), ("live", asked_live), ("untold", untold)):
        lane_in_flight.labels(kind).set(count)
    lane_overdue_seconds.set(max(overdue_s, 0.0))


def count_skipped(levers: Iterable[str], unknown: int) -> None:
    """The levers that a way out took from one request; ``unknown`` words of its skip header name none."""
    for lever in levers:
        requests.labels(lever, "skipped").inc()
    if unknown:
        requests.labels("unknown", "skipped").inc(unknown)


class _AllWorkers(Collector):
    """Our metrics alone: the shared directory holds LiteLLM's too, whose labels can name keys and users."""

    def collect(self) -> Iterable[Metric]:
        everything = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]  # it has no annotations
        return [family for family in everything if family.name.startswith("fivelevers_")]


def scrape() -> bytes:
    """The exposition text, over all workers where prometheus_client is in multi-process mode."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        merged = CollectorRegistry()
        merged.register(_AllWorkers())
        return generate_latest(merged)
    return generate_latest(registry)


def serve(host: str, port: int) -> None:
    """Answer scrapes of this process from a thread of its own. Raises OSError where it can not listen."""
    start_http_server(port, host, registry=registry)


_logged_at: dict[tuple[str, str], float] = {}  # bounded: reasons are words of this code, never of a request


def count_bypass(lever: str, reason: str, error: BaseException | None = None) -> None:
    """A request goes on without ``lever``: count it, and say so in one line a minute for each reason."""
    bypass.labels(lever, reason).inc()
    now = time.monotonic()
    if now - _logged_at.get((lever, reason), -_LOG_AGAIN_AFTER_S) >= _LOG_AGAIN_AFTER_S:
        _logged_at[lever, reason] = now
        # Our own errors say what to do in one line; any other is a fault of this code, and its traceback shows where.
        trace = None if isinstance(error, FiveLeversError) else error
        _log.warning("fivelevers: %s steps aside, traffic passes: %s: %s", lever, reason, error, exc_info=trace)


def count_store(lever: str, error: BaseException | None) -> None:
    """The store of ``lever`` is left alone because of ``error``, or used again (None): count it, and say so once."""
    store_changes.labels(lever, "away" if error else "back").inc()
    if error is None:
        _log.warning("fivelevers: %s: redis answers again", lever)
    else:
        trouble = f"{type(error).__name__}: {error}"
        _log.warning("fivelevers: %s: redis does not answer and is left alone, traffic passes: %s", lever, trouble)
