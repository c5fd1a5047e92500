"""One file may hold several formats; each row becomes a call or is counted under its reason."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fivelevers.audit.calls import Reason, Text
from fivelevers.prices import Usage
from fivelevers.request import Api, SegmentKind
from tests.unit.audit.logged import read_all, write

ROOT = Path(__file__).parents[3]
SYSTEM = "Be brief. " * 100
USAGE = {"prompt_tokens": 2000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 1500}}
ANTHROPIC = {
    "input_tokens": 100,
    "cache_read_input_tokens": 1500,
    "cache_creation_input_tokens": 400,
    "output_tokens": 50,
}
BODY = {"model": "gpt-4.1", "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Hi"}]}
SPEND = {
    "request_id": "a", "call_type": "acompletion", "api_key": "4e1f", "spend": 0.5, "prompt_tokens": 2000,
    "completion_tokens": 50, "startTime": "2026-11-20T09:12:04.1Z", "endTime": "2026-11-20T09:12:09Z",
    "model": "gpt-4.1", "model_group": "support", "custom_llm_provider": "openai", "cache_hit": "None",
    "team_id": "desk", "status": "success", "request_tags": '["nightly"]',
    "metadata": json.dumps({"usage_object": USAGE, "user_api_key_alias": "support-emea"}),
    "messages": {}, "proxy_server_request": json.dumps(BODY),
}  # fmt: skip
CALLBACK = {
    "call_type": "acompletion", "response_cost": 0.5, "status": "success", "startTime": 1_763_629_924.1,
    "model": "gpt-4.1", "model_id": "d-1", "model_group": "support", "custom_llm_provider": "openai", "cache_hit": None,
    "messages": BODY["messages"], "model_parameters": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "prompt_tokens": 2000, "completion_tokens": 50, "request_tags": ["nightly"],
    "metadata": {"usage_object": USAGE, "user_api_key_hash": "4e1f", "user_api_key_alias": "support-emea",
                 "user_api_key_team_id": "desk"},
}  # fmt: skip
EXCHANGE = {
    "timestamp": "2026-11-20T09:12:04.1Z",
    "request": BODY,
    "response": {"model": "gpt-4.1-2025-04-14", "usage": USAGE},
}


def one(tmp_path: Path, row: Any) -> Any:
    calls, account = read_all(write(tmp_path / "log.jsonl", [row]))
    assert not account.left
    (call,) = calls
    return call


@pytest.mark.parametrize(
    "row", [SPEND, CALLBACK, {"standard_logging_object": CALLBACK}], ids=["spend", "callback", "wrapped"]
)
def test_what_litellm_logs(tmp_path: Path, row: dict[str, Any]) -> None:
    call = one(tmp_path, row)
    assert (call.model, call.provider, call.alias) == ("gpt-4.1", "openai", "support")
    assert call.usage == Usage(input=500, cache_read=1500, output=50)
    assert call.logged_usd == Decimal("0.5")
    assert (call.caller.key, call.caller.key_alias, call.caller.team) == ("4e1f", "support-emea", "desk")
    assert call.caller.tags == ("nightly",)
    assert call.text is Text.WHOLE
    assert call.request.api is Api.CHAT
    assert [s.kind for s in call.request.segments if s.kind is not SegmentKind.TOOL] == [
        SegmentKind.SYSTEM,
        SegmentKind.MESSAGE,
    ]
    assert call.opening.system == (SYSTEM,)


def test_spend_logs_as_csv_are_the_same(tmp_path: Path) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(SPEND))
    writer.writeheader()
    writer.writerow({**SPEND, "messages": "{}"})
    (tmp_path / "log.csv").write_text(out.getvalue())
    (from_csv,), _ = read_all(tmp_path / "log.csv")
    from_json = one(tmp_path, SPEND)
    assert from_csv.request == from_json.request
    assert (from_csv.at, from_csv.usage, from_csv.caller) == (from_json.at, from_json.usage, from_json.caller)


@pytest.mark.parametrize(
    "row",
    [
        EXCHANGE,
        {**EXCHANGE, "request": json.dumps(BODY), "response": json.dumps(EXCHANGE["response"])},
        {"ts": 1_763_629_924_100, "request": {"url": "/v1/chat", "body": BODY},
         "response": {"status_code": 200, "body": EXCHANGE["response"]}},
        {"created_at": 1_763_629_924.1, "request_body": BODY, "response_body": EXCHANGE["response"]},
        {"time": "2026-11-20T09:12:04.1Z", "input": BODY, "output": EXCHANGE["response"]},
        {"timestamp": 1_763_629_924.1, **BODY, "usage": USAGE},
        {"request": BODY, "response": [{"created": 1_763_629_924, "model": "gpt-4.1"}, {"usage": USAGE}]},
    ],
    ids=["plain", "JSON text", "http", "bodies", "input and output", "flat", "chunks"],
)  # fmt: skip
def test_requests_with_responses(tmp_path: Path, row: dict[str, Any]) -> None:
    call = one(tmp_path, row)
    assert call.alias == "gpt-4.1"
    assert call.usage == Usage(input=500, cache_read=1500, output=50)
    assert call.text is Text.WHOLE
    assert call.opening.system == (SYSTEM,)


def test_a_streamed_answer_of_anthropic(tmp_path: Path) -> None:
    chunks = [
        {
            "type": "message_start",
            "message": {"model": "claude-sonnet-4-5", "usage": {**ANTHROPIC, "output_tokens": 1}},
        },
        {"type": "content_block_delta", "delta": {"text": "Hi"}},
        {"type": "message_delta", "usage": {"output_tokens": 50}},
    ]
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "system": SYSTEM,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    call = one(tmp_path, {"timestamp": 1_763_629_924, "request": body, "response": chunks})
    assert call.usage == Usage(100, 1500, 400, 0, 50)
    assert call.request.api is Api.MESSAGES


def test_keys_of_callers_stay_in_the_log(tmp_path: Path) -> None:
    call = one(tmp_path, {**EXCHANGE, "api_key": "sk-very-secret"})
    assert "secret" not in repr(call)


def test_rows_that_are_no_call_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [
        {**SPEND, "cache_hit": "True"}, {**SPEND, "status": "failure"}, {**SPEND, "startTime": None},
        {**SPEND, "model": ""}, {**SPEND, "prompt_tokens": 0, "completion_tokens": 0, "metadata": "{}"},
        {**SPEND, "metadata": {"usage_object": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}},
        {**EXCHANGE, "response": {"error": {"message": "overloaded"}}}, {**EXCHANGE, "status_code": 529},
        {"level": "info", "msg": "started"}, "not json", SPEND,
    ]  # fmt: skip
    calls, account = read_all(write(tmp_path / "log.jsonl", rows))
    assert len(calls) == account.calls == 1
    assert {reason: left.rows for reason, left in account.left.items()} == {
        Reason.SERVED: 1, Reason.FAILED: 3, Reason.NO_TIME: 1, Reason.NO_MODEL: 1, Reason.NO_TOKENS: 1,
        Reason.BAD_TOKENS: 1, Reason.UNKNOWN: 1, Reason.NOT_JSON: 1,
    }  # fmt: skip
    assert account.left[Reason.FAILED].first.endswith("log.jsonl:2")
    assert (account.rows, account.damaged) == (11, 6)


@pytest.mark.parametrize(
    ("content", "text"),
    [("redacted-by-litellm", Text.REDACTED), ("Be br... (litellm_truncated skipped 99 chars) ...", Text.TRUNCATED)],
)
def test_prompts_that_are_not_whole_are_not_compared(tmp_path: Path, content: str, text: Text) -> None:
    body = {**BODY, "messages": [{"role": "system", "content": [{"type": "text", "text": content}]}]}
    call = one(tmp_path, {**SPEND, "proxy_server_request": body})
    assert (call.text, call.request, call.opening) == (text, None, None)
    assert one(tmp_path, {**SPEND, "proxy_server_request": "{}"}).text is Text.ABSENT


def test_a_prompt_of_far_more_tokens_than_it_has_characters_is_not_all_there(tmp_path: Path) -> None:
    body = {**BODY, "messages": BODY["messages"][1:]}
    assert one(tmp_path, {**EXCHANGE, "request": body}).text is Text.PARTIAL


def test_the_example_exports_are_read() -> None:
    calls, account = read_all(ROOT / "examples/cost_exports/litellm_spend_logs.jsonl")
    assert len(calls) == 3
    assert not account.damaged


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples/cost_exports").glob("*_[cu]*.*[nv]")))
def test_a_providers_bill_is_known_for_what_it_is(name: str) -> None:
    calls, account = read_all(ROOT / "examples/cost_exports" / name)
    assert not calls
    assert set(account.left) == {Reason.SUMS}
    assert account.rows == account.left[Reason.SUMS].rows > 0
    assert not account.damaged


def test_daily_sums_of_litellm_are_no_spend_logs(tmp_path: Path) -> None:
    row = {"date": "2026-11-20", "api_key": "4e1f", "model": "gpt-4.1", "spend": 0.5, "api_requests": 7}
    _, account = read_all(write(tmp_path / "log.jsonl", [row]))
    assert set(account.left) == {Reason.SUMS}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([SPEND, CALLBACK, EXCHANGE]), st.data())
def test_no_field_is_trusted(tmp_path: Path, good: dict[str, Any], data: st.DataObject) -> None:
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(good)), values, min_size=1, max_size=4))
    calls, account = read_all(write(tmp_path / "log.jsonl", [{**good, **changed}]))
    assert len(calls) + sum(left.rows for left in account.left.values()) == 1


def test_what_was_asked_is_the_same_whatever_stands_beside_it(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "When?"}], "temperature": 0}
    answer = {"choices": [{"message": {"content": "At ten."}, "finish_reason": "stop"}], "usage": usage}
    stream = [
        {"choices": [{"delta": {"content": "At ten"}, "finish_reason": None}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    rows = [
        {"timestamp": 1.79e9, "end_time": 1.79e9 + 2, "request": body, "response": answer},
        {"timestamp": 1.79e9 + 10, "request": {**body, "user": "bob", "stream": True}, "response": stream},
        {**body, "timestamp": 1.79e9 + 20, "latency": 7, "response": answer},
        {
            "startTime": 1.79e9 + 30,
            "endTime": 1.79e9 + 31,
            "call_type": "acompletion",
            "response_cost": 0.1,
            "model": "gpt-4.1",
            "model_group": "gpt-4.1",
            "messages": body["messages"],
            "model_parameters": {"temperature": 0},
            "response": answer,
            **usage,
        },
    ]
    calls, _ = read_all(write(tmp_path / "log.jsonl", rows))
    asked = [call.asked for call in calls if call.asked is not None]
    assert len(asked) == 4
    assert len({one.digest for one in asked}) == len({one.said for one in asked}) == 1
    assert len({one.question.rest for one in asked if one.question}) == 1
    assert [one.ended for one in asked] == [1.79e9 + 2, None, None, 1.79e9 + 31]
    assert all(one.may_be and one.stored and one.sampled is False for one in asked)
