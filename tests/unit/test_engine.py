"""One request, one plan; one attempt, one row."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.engine import Answer, Payee, Plan, WithoutUs, prepare, session_of, settle, without_routing
from fivelevers.metering.attribution import Basis
from fivelevers.metering.event import UsageSource
from fivelevers.order import Mode
from fivelevers.policy import Caller, parse
from fivelevers.prices import PriceBook, Usage
from fivelevers.request import Api
from fivelevers.request import parse as parse_request

ROW = {
    "litellm_provider": "openai",
    "input_cost_per_token": Decimal("2e-6"),
    "cache_read_input_token_cost": Decimal("5e-7"),
    "output_cost_per_token": Decimal("8e-6"),
}
NANO = {
    "litellm_provider": "openai",
    "input_cost_per_token": Decimal("1e-7"),
    "cache_read_input_token_cost": Decimal("2.5e-8"),
    "output_cost_per_token": Decimal("4e-7"),
}
PRICES = PriceBook({"gpt-4.1": ROW, "gpt-4.1-nano": NANO})
STRONG = Payee("gpt-4.1", "openai", "d")
MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
BODY = {"model": "support-assistant", "messages": MESSAGES}
POLICY = parse(
    "{defaults: {holdout: 0.1, levers: {prompt_cache: {mode: on, percent: 50}}},"
    " routes: [{name: support, match: {model: support-*}}]}"
)


def caller(**fields: Any) -> Caller:
    return Caller(**({"path": "/v1/chat/completions", "headers": {}, "key": "k", "team": "t"} | fields))


def plan(body: dict[str, Any] = BODY, **hints: Any) -> Plan:
    request = parse_request(Api.CHAT, body)
    return prepare(request, {**body, **hints}, caller(), POLICY, request_id="r", now=1.0)


def answer(**changes: Any) -> Answer:
    base: dict[str, Any] = {
        "at": 2.0, "started_at": 1.5, "model": "gpt-4.1", "provider": "openai", "provider_key": "f", "deployment": "d",
        "provider_request_id": "p", "success": True, "error": None, "finish_reason": "stop",
        "usage": Usage(input=100, cache_read=1000, output=10), "reported": True,
    }  # fmt: skip
    return Answer(**(base | changes))


def test_a_plan_names_route_tenant_session_and_arm() -> None:
    made = plan()
    assert (made.route.name, made.tenant, made.explicit_session) == ("support", "team:t", False)
    assert made.policy == POLICY.hash
    assert made == plan()


@given(st.integers(0, 400))
def test_the_arm_follows_the_policy(n: int) -> None:
    made = plan(litellm_session_id=f"s{n}")
    assert made.arm.holdout == (made.u < 0.1)
    assert made.arm.treated == ({"prompt_cache"} if 0.1 <= made.u < 0.55 else set())


@pytest.mark.parametrize(
    ("headers", "hints", "explicit"),
    [
        ({"x-fivelevers-session": "a"}, {"litellm_session_id": "b"}, True),
        ({}, {"litellm_session_id": "b", "prompt_cache_key": "c"}, True),
        ({}, {"metadata": {"session_id": "b"}}, True),
        ({}, {"conversation": {"id": "c"}}, False),
        ({}, {"conversation": "c"}, False),
        ({}, {"prompt_cache_key": "c"}, False),
        ({}, {"previous_response_id": "c"}, False),
        ({}, {"conversation": 3, "metadata": "odd"}, False),
        ({}, {}, False),
    ],
)
def test_a_session_is_named_by_the_strongest_hint(
    headers: dict[str, str], hints: dict[str, Any], explicit: bool
) -> None:
    request = parse_request(Api.CHAT, BODY)
    name, said = session_of(request, hints, caller(headers=headers), "team:t")
    assert said is explicit
    assert len(name) == 16
    assert session_of(request, hints, caller(headers=headers), "team:u")[0] != name


def test_a_conversation_keeps_its_session_as_it_grows() -> None:
    later = {**BODY, "messages": [*MESSAGES, {"role": "assistant", "content": "a"}]}
    assert plan(later).session == plan().session


def test_an_attempt_is_priced_by_kind_and_listed_uncached() -> None:
    row = settle(plan(), answer(), PRICES, event_id="e")
    assert row.cost_usd == Decimal("0.0002") + Decimal("0.0005") + Decimal("0.00008")
    assert row.list_cost_usd == Decimal("0.0022") + Decimal("0.00008")
    assert row.cost_parts is not None
    assert sum(row.cost_parts.values()) == row.cost_usd == row.cost_without_us_usd
    assert row.usage_source is UsageSource.REPORTED


def test_a_model_without_a_price_has_no_cost() -> None:
    row = settle(plan(), answer(model="nobody-knows"), PRICES, event_id="e")
    assert (row.cost_usd, row.list_cost_usd, row.cost_without_us_usd) == (None, None, None)
    assert row.usage.total == 1110


@pytest.mark.parametrize(
    ("changes", "usage", "source"),
    [
        ({"usage": None, "reported": True}, Usage(), UsageSource.NONE),
        ({"usage": None, "reported": False}, Usage(input=1), UsageSource.ESTIMATED),
        ({"usage": None, "reported": False, "generated_chars": 9}, Usage(input=1, output=3), UsageSource.ESTIMATED),
        ({"reported": False}, Usage(input=100, cache_read=1000, output=10), UsageSource.ESTIMATED),
    ],
)
def test_tokens_that_nobody_reported_are_estimated_and_say_so(
    changes: dict[str, Any], usage: Usage, source: UsageSource
) -> None:
    row = settle(plan(), answer(**changes), PRICES, event_id="e")
    assert (row.usage, row.usage_source) == (usage, source)


RETRY = parse("{routes: [{name: support, match: {model: support-*}, repeat_means: retry, repeat_window_s: 60}]}")


@pytest.mark.parametrize(
    ("policy", "api", "hints", "window_s"),
    [
        (RETRY, Api.CHAT, {"litellm_session_id": "s"}, 60.0),
        (RETRY, Api.CHAT, {}, None),
        (RETRY, Api.RESPONSES, {"litellm_session_id": "s", "conversation": "c"}, None),
        (RETRY, Api.OTHER, {"litellm_session_id": "s"}, None),
        (POLICY, Api.CHAT, {"litellm_session_id": "s"}, None),
    ],
)
def test_a_repeat_means_something_where_the_route_says_so(
    policy: Any, api: Api, hints: dict[str, Any], window_s: float | None
) -> None:
    made = prepare(parse_request(api, BODY), hints, caller(), policy, request_id="r", now=7.0)
    row = settle(made, answer(), PRICES, event_id="e")
    assert (row.repeat_window_s, row.asked_at) == (window_s, 7.0)


def test_the_digest_says_what_was_asked_whatever_is_marked() -> None:
    def digest(content: Any, **params: Any) -> str:
        body = {**BODY, "messages": [{"role": "user", "content": content}], **params}
        return settle(plan(body), answer(), PRICES, event_id="e").digest

    marked = [{"type": "text", "text": "q", "cache_control": {"type": "ephemeral"}}]
    assert digest("q") == digest(marked) == digest("q", stream=True)
    assert len({digest("q"), digest("r"), digest("q", temperature=0)}) == 3


def mode(policy: str, session: str = "s", **headers: str) -> Mode:
    request = parse_request(Api.CHAT, BODY)
    by = caller(headers={"x-fivelevers-session": session, **headers})
    return prepare(request, BODY, by, parse(policy), request_id="r", now=1.0).mode("prompt_cache")


def test_the_mode_of_a_lever_on_one_request() -> None:
    on = "{defaults: {holdout: 0, levers: {prompt_cache: {mode: on}}}}"
    shadow = on.replace("mode: on", "mode: shadow")
    assert mode("{}") is Mode.OFF
    assert mode(on) is Mode.ON
    assert mode(shadow) is Mode.SHADOW
    for policy in (on, shadow):
        assert mode(policy, **{"x-fivelevers-skip": "all"}) is Mode.OFF
        held = policy.replace("holdout: 0", "holdout: 0.5")
        assert {mode(held, str(n)) for n in range(30)} == {Mode.OFF, mode(policy)}
    assert mode("{defaults: {holdout: 0, levers: {prompt_cache: {mode: on, percent: 0}}}}") is Mode.OFF


@given(alone=st.integers(0, 10**6), read=st.integers(0, 10**6), output=st.integers(0, 10**5))
def test_what_a_lever_saved_is_the_difference_to_the_usage_without_it(alone: int, read: int, output: int) -> None:
    usage = Usage(input=alone, cache_read=read, output=output)
    without = WithoutUs("prompt_cache", Usage(input=alone + read, output=output), Basis.OBSERVED)
    attempt = settle(plan(), answer(usage=usage), PRICES, event_id="e", without=[without])
    assert attempt.cost_usd is not None
    assert attempt.cost_without_us_usd == attempt.cost_usd + sum(part.usd for part in attempt.savings)
    assert [part.usd for part in attempt.savings] == [read * Decimal("1.5e-6")]


def test_a_hit_is_saved_by_the_levers_in_their_order() -> None:
    plain, warm = Usage(input=1100, output=10), Usage(input=100, cache_read=1000, output=10)
    without = [
        WithoutUs("prompt_cache", plain, Basis.ESTIMATED),
        WithoutUs("semantic_cache", warm, Basis.ESTIMATED),
    ]
    hit = settle(plan(), answer(usage=None), PRICES, event_id="e", without=without)
    assert hit.cost_usd == 0
    assert {part.lever: part.usd for part in hit.savings} == {
        "prompt_cache": 1000 * Decimal("1.5e-6"),
        "semantic_cache": 100 * Decimal("2e-6") + 1000 * Decimal("5e-7") + 10 * Decimal("8e-6"),
    }
    assert hit.cost_without_us_usd == 1100 * Decimal("2e-6") + 10 * Decimal("8e-6")


def test_a_levers_own_call_is_its_loss() -> None:
    own = settle(plan(), answer(), PRICES, event_id="e", charged_to="semantic_cache")
    assert own.cost_without_us_usd == 0
    assert [(part.lever, part.usd) for part in own.savings] == [("semantic_cache", -(own.cost_usd or 0))]
    assert own.repeat_window_s is None


def test_a_routed_answer_saves_what_the_strong_model_had_cost() -> None:
    usage = Usage(input=1000, output=10)
    nano = answer(model="gpt-4.1-nano", usage=usage)
    routed = settle(plan(), nano, PRICES, event_id="e", without=without_routing((), usage, STRONG, 20))
    assert routed.cost_usd == 1000 * Decimal("1e-7") + 10 * Decimal("4e-7")
    assert routed.cost_without_us_usd == 1000 * Decimal("2e-6") + 20 * Decimal("8e-6")
    (part,) = routed.savings
    assert (part.lever, part.basis) == ("routing", Basis.ESTIMATED)
    assert part.usd == routed.cost_without_us_usd - routed.cost_usd


@given(alone=st.integers(0, 10**5), read=st.integers(0, 10**5), written=st.integers(0, 10**4))
def test_caching_and_routing_share_what_is_saved_in_their_order(alone: int, read: int, written: int) -> None:
    """Lever 1 has what its marks had saved at the strong model, which has no rate for writes: they are plain there."""
    usage = Usage(input=alone, cache_read=read, output=10)
    unmarked = [WithoutUs("prompt_cache", Usage(input=alone + read, cache_write_5m=written, output=10), Basis.OBSERVED)]
    without = without_routing(unmarked, usage, STRONG, 10)
    routed = settle(plan(), answer(model="gpt-4.1-nano", usage=usage), PRICES, event_id="e", without=without)
    assert routed.cost_usd is not None
    assert routed.cost_without_us_usd == routed.cost_usd + sum(part.usd for part in routed.savings)
    first, second = routed.savings
    assert (first.lever, second.lever) == ("prompt_cache", "routing")
    assert first.usd == read * Decimal("1.5e-6") + written * Decimal("2e-6")
