"""Nothing waits for a batch unless somebody said so and it can; what the filter can not tell is the lane's to tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.batch.eligibility import (
    HELD_S,
    MAX_WAIT_S,
    MIN_WAIT_S,
    REASONS,
    Asked,
    Predicted,
    decide,
    due_s,
    patience_s,
)
from fivelevers.levers.batch.work import Endpoint
from fivelevers.order import Mode
from fivelevers.policy import BatchSwitch

CHAT = Endpoint.CHAT.value
DAY = 86_400.0
DEARER, CHEAPER = Predicted(batch_usd=0.03, live_usd=0.02), Predicted(batch_usd=0.02, live_usd=0.03)

seconds = st.floats(0, 1e6) | st.none()
usd = st.none() | st.floats(0, 10)
asked = st.builds(
    Asked,
    path=st.sampled_from([*(e.value for e in Endpoint), "/v1/files", ""]),
    respond_async=st.booleans(),
    wait_s=seconds,
    deadline_s=seconds,
    stream=st.none() | st.booleans(),
    background=st.none() | st.booleans(),
    service_tier=st.sampled_from([None, "auto", "batch", "flex"]),
    region=st.sampled_from([None, "", "eu", "us"]),
    predicted=st.none() | st.builds(Predicted, usd, usd),
    u=st.none() | st.floats(0, 1, exclude_max=True),
    skipped=st.booleans(),
)
switches = st.builds(
    BatchSwitch,
    mode=st.sampled_from(["off", "shadow", "on", "does-not-pay"]),
    percent=st.floats(0, 100),
    opt_in=st.sampled_from(["caller", "route"]),
    deadline_s=st.floats(3600, DAY),
    no_provider_storage=st.booleans(),
    regions=st.sampled_from([(), ("eu",), ("eu", "us")]),
)


def switch(**settings: object) -> BatchSwitch:
    return BatchSwitch.model_validate({"mode": "on"} | settings)


def why(ask: Asked, **settings: object) -> str:
    return decide(ask, switch(**settings)).why


@pytest.mark.parametrize(
    "ask",
    [
        Asked(CHAT, respond_async=True),
        Asked(CHAT, respond_async=True, wait_s=30.0),  # held for half a minute, then told where its answer will be
        Asked(Endpoint.RESPONSES.value, background=True),
        Asked(Endpoint.MESSAGES.value, deadline_s=7200.0, wait_s=DAY),
        Asked(Endpoint.EMBEDDINGS.value, service_tier="batch", wait_s=4 * 3600.0, stream=False),
        Asked(CHAT, respond_async=True, region="eu", predicted=CHEAPER, u=0.999),
    ],
)
def test_who_says_that_it_can_wait_is_batched(ask: Asked) -> None:
    assert decide(ask, switch()).lane == "batch"


@pytest.mark.parametrize(
    ("reason", "ask", "settings"),
    [
        ("off", Asked(CHAT, respond_async=True), {"mode": "off"}),
        ("off", Asked(CHAT, respond_async=True), {"mode": "does-not-pay"}),
        ("skipped", Asked(CHAT, respond_async=True, skipped=True), {}),
        ("endpoint", Asked("/v1/images/generations", respond_async=True), {}),
        ("endpoint", Asked("/v1/chat/completions/", respond_async=True), {}),
        ("not-asked", Asked(CHAT), {}),
        ("not-asked", Asked(CHAT, wait_s=DAY), {}),  # patience alone is no wish
        ("not-asked", Asked(CHAT, background=False, service_tier="auto"), {}),
        ("stream", Asked(CHAT, respond_async=True, stream=True), {}),
        ("service-tier", Asked(CHAT, service_tier="priority", wait_s=DAY), {"opt_in": "route"}),
        ("deadline-too-short", Asked(CHAT, respond_async=True, deadline_s=3599.0), {}),
        ("caller-waits", Asked(CHAT), {"opt_in": "route"}),
        ("caller-waits", Asked(CHAT, wait_s=600.0, deadline_s=DAY), {}),
        ("provider-storage", Asked(CHAT, respond_async=True), {"no_provider_storage": True}),
        ("region", Asked(CHAT, respond_async=True, region="us"), {"regions": ["eu"]}),
        ("region", Asked(CHAT, respond_async=True, region=""), {"regions": ["eu"]}),
        ("no-batch-price", Asked(CHAT, respond_async=True, predicted=Predicted(None, 0.1)), {}),
        ("no-batch-price", Asked(CHAT, respond_async=True, predicted=Predicted(0.1, None)), {}),
        ("warm-prefix-cheaper", Asked(CHAT, respond_async=True, predicted=DEARER), {}),
        ("warm-prefix-cheaper", Asked(CHAT, respond_async=True, predicted=Predicted(0.1, 0.1)), {}),
        ("percent", Asked(CHAT, respond_async=True, u=0.3), {"percent": 30}),
        ("percent", Asked(CHAT, respond_async=True), {"percent": 0}),
        ("shadow", Asked(CHAT, respond_async=True), {"mode": "shadow"}),
    ],
)
def test_each_reason_to_ask_live(reason: str, ask: Asked, settings: dict[str, object]) -> None:
    assert (decide(ask, switch(**settings)).lane, why(ask, **settings)) == ("live", reason)


def test_a_pipeline_that_holds_its_connection_for_hours_is_batched_unasked() -> None:
    assert why(Asked(CHAT, wait_s=4 * 3600.0), opt_in="route") == "eligible"


@given(asked, switches)
def test_only_what_may_wait_is_batched(ask: Asked, one: BatchSwitch) -> None:
    verdict = decide(ask, one)
    assert verdict.why in REASONS
    assert (verdict.lane == "batch") == (verdict.why == "eligible")
    if verdict.lane == "batch":
        assert ask.opts_in or one.opt_in == "route"
        assert MIN_WAIT_S <= patience_s(ask, one) <= due_s(ask, one) <= MAX_WAIT_S
        assert ask.stream is not True


@given(asked, switches, st.data())
def test_what_is_not_known_never_turns_a_batch_into_a_live_call(
    ask: Asked, one: BatchSwitch, data: st.DataObject
) -> None:
    """The filter, which knows less, may only let through to the lane what the lane then decides."""
    unknown = data.draw(st.sets(st.sampled_from(["stream", "region", "predicted", "u"])))
    nothing: dict[str, Any] = dict.fromkeys(unknown)
    seen = replace(ask, **nothing)
    if decide(ask, one).lane == "batch":
        assert decide(seen, one).lane == "batch"


@given(asked, switches)
def test_an_opt_in_that_is_not_seen_counts_as_none(ask: Asked, one: BatchSwitch) -> None:
    blind = replace(ask, background=None, service_tier=None)
    if decide(blind, one).lane == "batch":
        assert decide(ask, one).lane == "batch" or decide(ask, one).why == "service-tier"


@given(asked, switches, st.floats(0, 100))
def test_raising_the_percentage_moves_nobody_back(ask: Asked, one: BatchSwitch, percent: float) -> None:
    more = one.model_copy(update={"percent": max(percent, one.percent)})
    if decide(ask, one).lane == "batch":
        assert decide(ask, more).lane == "batch"


@given(asked, switches)
def test_shadow_decides_as_on_does_and_changes_nothing(ask: Asked, one: BatchSwitch) -> None:
    on, shadow = (decide(ask, one.model_copy(update={"mode": mode})) for mode in (Mode.ON, Mode.SHADOW))
    assert shadow.lane == "live"
    assert shadow.why == ("shadow" if on.lane == "batch" else on.why)


def test_the_sdk_s_own_time_out_is_what_a_caller_has_unless_it_says_otherwise() -> None:
    one = switch()
    assert patience_s(Asked(CHAT), one) == HELD_S
    assert patience_s(Asked(CHAT, wait_s=DAY), one) == one.deadline_s
    assert patience_s(Asked(CHAT, respond_async=True, deadline_s=7200.0), one) == 7200
    assert due_s(Asked(CHAT, deadline_s=1e9), one) == MAX_WAIT_S
