"""Attempts and outcomes for tests: a valid one, and what differs."""

from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

from fivelevers.metering.event import Attempt, LookedUp, OutcomeSeen, Routed, UsageSource
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.prices import Kind, Usage

_ids = count()
_PLAIN = Attempt(
    event_id="", request_id="", at=1000.0, started_at=999.0, route="support", tenant="team:a", team="a", key="k1",
    key_alias="desk", session="s", explicit_session=True, tags=(), api="chat", stream=False, alias="support-assistant",
    model="gpt-4.1", provider="openai", provider_key="ca2b4d18", deployment="d1", provider_request_id="req_1",
    success=True, error=None, finish_reason="stop", usage=Usage(input=100, output=10),
    usage_source=UsageSource.REPORTED, cost_usd=Decimal("0.00028"),
    cost_parts={Kind.INPUT: Decimal("0.0002"), Kind.OUTPUT: Decimal("0.00008")}, list_cost_usd=Decimal("0.00028"),
    cost_without_us_usd=Decimal("0.00028"), failure_cost_usd=Decimal(0), savings=(), u=0.5, holdout=False, treated=(),
    policy="abc", asked_at=998.0, digest="d0", repeat_window_s=None,
)  # fmt: skip


def attempt(**changes: Any) -> Attempt:
    name = f"e{next(_ids)}"
    return replace(
        _PLAIN, **{"event_id": name, "request_id": f"r-{name}", "provider_request_id": f"p-{name}"} | changes
    )


def outcome(request_id: str, said: Outcome, source: Source = Source.EXPLICIT, at: float = 1001.0) -> OutcomeSeen:
    return OutcomeSeen(f"o{next(_ids)}", request_id, at, said, source)


def looked_up(**changes: Any) -> LookedUp:
    name = f"l{next(_ids)}"
    plain = LookedUp(
        name, f"r-{name}", 1000.0, "support", "team:a", None, "5c" * 16, "9f" * 16, "minilm-1", "on", "audit", "same",
        "model", {"similarity": 0.9},
    )  # fmt: skip
    return replace(plain, **changes)


def routed(request_id: str, **changes: Any) -> Routed:
    """A decision for the cheap model."""
    plain = Routed(
        event_id=f"d{next(_ids)}", request_id=request_id, at=1000.0, route="support", tenant="team:a", end_user=None,
        mode="on", reason="routed", model="gpt-4.1-nano", strong="gpt-4.1", task="support", chosen="gpt-4.1-nano",
        gain=0.012, saved_usd=0.0004, point=12.5, threshold=40.0, artifact=900.0,
    )  # fmt: skip
    return replace(plain, **changes)
