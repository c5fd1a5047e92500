"""A batched request's plan survives the wait, and its row is priced as the provider bills it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.batched import Paying, about_of, answer_of, output_of, plan_of, request_id, work_id
from fivelevers.engine import Plan, charged, prepare, settle
from fivelevers.levers.batch.work import Endpoint, Group, Result, Work
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.output import Output, ToolCall
from fivelevers.policy import EMPTY, Caller, parse
from fivelevers.prices import PriceBook, Usage
from fivelevers.request import Api
from fivelevers.request import parse as parse_request

POLICY = parse("{routes: [{name: pipeline, match: {model: tickets-*}, levers: {batch: {mode: on}}}]}")
PRICES = PriceBook({
    "gpt-4.1-mini": {
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("4e-7"),
        "input_cost_per_token_batches": Decimal("2e-7"),
        "cache_read_input_token_cost": Decimal("1e-7"),
        "output_cost_per_token": Decimal("1.6e-6"),
        "output_cost_per_token_batches": Decimal("8e-7"),
    }
})  # fmt: skip
CHAT = {"messages": [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "It broke."}]}
PAYING = Paying("openai", "gpt-4.1-mini", "d1", "ca2b4d18")
ANSWERED = {
    "id": "chatcmpl-1",
    "choices": [{"message": {"role": "assistant", "content": "refund"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}


def planned(**caller: Any) -> Plan:
    who = Caller(path="/v1/chat/completions", headers={"x-secret": "s"}, key="k" * 64, **caller)
    body = {"model": "tickets-nightly", **CHAT}
    return prepare(parse_request(Api.CHAT, body), body, who, POLICY, request_id="ab" * 16, now=1000.0)


def work(plan: Plan, endpoint: Endpoint = Endpoint.CHAT, body: dict[str, Any] = CHAT) -> Work:
    group = Group("openai", "api.openai.com/d1", endpoint, "gpt-4.1-mini")
    sent = orjson.dumps({"model": "gpt-4.1-mini", **body})
    about = orjson.loads(orjson.dumps(about_of(plan, PAYING)))  # as it lies in Redis
    return Work(work_id(plan), group, "team:t", plan.route.name, sent, 1000.0, 15_400.0, 250, about=about)


def result(body: dict[str, Any], status: int = 200, **fields: Any) -> Result:
    return Result("flr_" + "ab" * 16, status, orjson.dumps(body), 2000.0, **fields)


names = st.text(max_size=12)


@given(st.none() | names, st.none() | names, st.none() | names, st.lists(names, max_size=3))
def test_the_plan_is_the_same_after_the_wait(
    alias: str | None, team: str | None, end_user: str | None, tags: list[str]
) -> None:
    # "" and None are one to whoever is told of a key's alias.
    plan = planned(key_alias=alias or None, team=team or None, end_user=end_user or None, tags=tuple(tags))
    again = plan_of(work(plan), POLICY)
    treated = replace(plan.arm, treated=plan.arm.treated | {"batch"})
    assert again == replace(plan, caller=replace(plan.caller, headers={}), arm=treated)
    assert again.request.digest == plan.request.digest


def test_what_travels_with_the_work_is_small_and_has_no_text_and_no_header() -> None:
    about = orjson.dumps(about_of(planned(key_alias="pipeline", team="t"), PAYING))
    assert len(about) < 500
    assert b"It broke" not in about
    assert b"x-secret" not in about


def test_whose_call_it_is_is_known_after_the_wait() -> None:
    plan = charged(planned(), "routing", "support")
    again = plan_of(work(plan), POLICY)
    assert (again.charged_to, again.arm) == (("routing", "support"), plan.arm)


def test_a_route_that_is_gone_keeps_its_name() -> None:
    assert plan_of(work(planned()), EMPTY).route.name == "pipeline"


def test_a_request_has_one_identity() -> None:
    assert request_id(work_id(planned())) == planned().request_id


def test_a_row_costs_the_batch_price_and_had_cost_the_live_one() -> None:
    plan, answer = planned(), answer_of(work(planned()), result(ANSWERED))
    made = settle(plan, answer, PRICES, event_id="e", batch=True)
    assert made.cost_usd == Decimal("0.00028")
    assert made.cost_without_us_usd == Decimal("0.00056")
    assert made.savings == (Saving("batch", Basis.OBSERVED, Decimal("0.00028")),)
    assert (made.provider_request_id, made.provider_key, made.success) == ("chatcmpl-1", "ca2b4d18", True)


def test_a_row_that_comes_after_its_rescue_is_charged_to_the_lever() -> None:
    answer = answer_of(work(planned()), result(ANSWERED))
    made = settle(planned(), answer, PRICES, event_id="e", batch=True, charged_to="batch")
    assert (made.cost_usd, made.cost_without_us_usd, made.charged_to) == (Decimal("0.00028"), Decimal(0), "batch")
    assert made.savings == (Saving("batch", Basis.OBSERVED, Decimal("-0.00028")),)


def test_a_refused_row_costs_nothing() -> None:
    refused = result({"error": {"message": "bad", "code": "invalid"}}, status=400)
    made = settle(planned(), answer_of(work(planned()), refused), PRICES, event_id="e", batch=True)
    assert (made.success, made.error, made.cost_usd, made.savings) == (False, "HTTP400", Decimal(0), ())


def test_cached_tokens_without_a_batch_price_are_plain_ones() -> None:
    cached = {**ANSWERED, "usage": {"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 900}}}
    made = settle(planned(), answer_of(work(planned()), result(cached)), PRICES, event_id="e", batch=True)
    assert made.usage == Usage(input=100, cache_read=900)
    assert made.cost_usd == Decimal("0.0002")  # else its cost were unknown, and its key charged nothing


@pytest.mark.parametrize(
    ("endpoint", "body", "usage", "reason", "said"),
    [
        (Endpoint.CHAT, {**ANSWERED, "choices": [{"finish_reason": "tool_calls", "message": {
            "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]},
         Usage(input=1000, output=100), "tool_calls", Output("", (ToolCall("f", "{}"),))),
        (Endpoint.RESPONSES, {"id": "resp_1", "status": "completed", "output": [
            {"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
            {"type": "function_call", "name": "f", "arguments": "{}"}],
            "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 10}, "output_tokens": 5}},
         Usage(input=20, cache_read=10, output=5), "completed", Output("hi", (ToolCall("f", "{}"),))),
        (Endpoint.RESPONSES, {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
                              "output": [], "usage": {"input_tokens": 3, "output_tokens": 5}},
         Usage(input=3, output=5), "max_output_tokens", Output("")),
        (Endpoint.MESSAGES, {"id": "msg_1", "stop_reason": "end_turn", "content": [
            {"type": "text", "text": "hi"}, {"type": "tool_use", "name": "f", "input": {"a": 1}}],
            "usage": {"input_tokens": 7, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 200,
                      "cache_creation": {"ephemeral_1h_input_tokens": 100}, "output_tokens": 9}},
         Usage(input=7, cache_read=200, cache_write_1h=100, output=9), "end_turn",
         Output("hi", (ToolCall("f", '{"a":1}'),))),
        (Endpoint.EMBEDDINGS, {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
         Usage(input=8), None, Output("")),
    ],
)  # fmt: skip
def test_every_api_says_what_it_used_and_what_it_said(
    endpoint: Endpoint, body: dict[str, Any], usage: Usage, reason: str | None, said: Output
) -> None:
    answer = answer_of(work(planned(), endpoint, {"input": "x"}), result(body))
    assert (answer.usage, answer.finish_reason, answer.reported) == (usage, reason, True)
    assert output_of(body) == said


_INTEGERS = st.integers(-(2**63), 2**64 - 1)  # what orjson writes
_NAMES = st.sampled_from(["choices", "output", "content", "usage", "message", "id", "type", "prompt_tokens"])
_JSON = st.recursive(
    st.none() | _INTEGERS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=40) | _JSON.map(orjson.dumps))
def test_no_answer_of_a_provider_raises(content: bytes) -> None:
    answer = answer_of(work(planned()), Result("flr_" + "ab" * 16, 200, content, 2000.0))
    settle(planned(), answer, PRICES, event_id="e", batch=True)
