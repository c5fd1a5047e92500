"""Observations of Langfuse give the same calls in whatever way they were exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fivelevers.audit import apart
from fivelevers.audit import calls as calls_module
from fivelevers.audit.calls import Account, LoggedCall, Reason, Text
from fivelevers.audit.langfuse_usage import usage
from fivelevers.audit.sources import Sources
from fivelevers.prices import Usage
from fivelevers.request import Api
from tests.unit.audit.logged import read_all, write

SYSTEM = "Be brief. " * 100
SENT = {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "When?"}]}
SAID = {"role": "assistant", "content": "At ten.", "tool_calls": None}
COUNTS = {"input": 500, "input_cached_tokens": 1500, "output": 50, "total": 2050}
METADATA = {"user_api_key_hash": "4e1f", "user_api_key_alias": "support-emea", "user_api_key_team_id": "desk"}
# GET /api/public/observations: parsed, and with columns that are deprecated.
API = {
    "id": "b", "traceId": "a", "type": "GENERATION", "name": "answer", "startTime": "2026-11-20T09:12:04.100Z",
    "endTime": "2026-11-20T09:12:06.100Z", "completionStartTime": "2026-11-20T09:12:05.100Z", "model": "gpt-4.1",
    "modelParameters": {"temperature": 0, "maxRetries": "2"}, "input": SENT, "output": SAID, "metadata": METADATA,
    "level": "DEFAULT", "statusMessage": None, "parentObservationId": None, "usageDetails": COUNTS,
    "usage": {"input": 2000, "output": 50, "total": 2050, "unit": "TOKENS"}, "costDetails": {"total": 0.5},
    "calculatedTotalCost": 0.5, "promptTokens": 2000, "completionTokens": 50, "environment": "default",
    "userId": "ann", "sessionId": "s-1", "tags": ["nightly"], "projectId": "p",
}  # fmt: skip
# GET /api/public/v2/observations: what was sent and said as text.
API_V2 = {
    **{name: value for name, value in API.items() if name not in ("model", "usage", "promptTokens")},
    "providedModelName": "gpt-4.1", "calculatedTotalCost": None, "totalCost": 0.5,
    "input": json.dumps(SENT), "output": json.dumps(json.dumps(SAID)), "modelParameters": {"temperature": "0"},
}  # fmt: skip
# Blob storage.
BLOB = {
    "id": "b", "trace_id": "a", "project_id": "p", "type": "GENERATION", "parent_observation_id": None,
    "start_time": "2026-11-20 09:12:04.100000", "end_time": "2026-11-20 09:12:06.100000",
    "completion_start_time": "2026-11-20 09:12:05.100000", "level": "DEFAULT", "metadata": METADATA,
    "input": json.dumps(SENT), "output": json.dumps(SAID), "provided_model_name": "gpt-4.1",
    "model_parameters": '{"temperature":0}', "usage_details": {name: str(count) for name, count in COUNTS.items()},
    "cost_details": {"total": 0.5}, "total_cost": 0.5, "user_id": "ann", "session_id": "s-1", "tags": ["nightly"],
}  # fmt: skip


def one(path: Path) -> LoggedCall:
    calls, account = read_all(path)
    assert not account.left
    (call,) = calls
    return replace(call, place="")


def as_csv(path: Path, row: Mapping[str, Any]) -> Path:
    """As Langfuse writes it: text as it is, all else as JSON, times among it."""
    times = ("startTime", "endTime", "completionStartTime")
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(row)
        writer.writerow(
            v if isinstance(v, str) and k not in times else "" if v is None else json.dumps(v) for k, v in row.items()
        )
    return path


def as_parquet(path: Path, row: Mapping[str, Any]) -> Path:
    """As ClickHouse writes it: times as times, maps as maps."""
    kept = {k: v for k, v in row.items() if k not in ("usage_details", "metadata", "cost_details")}
    table = pa.Table.from_pylist([kept])
    counts = {name: int(count) for name, count in row["usage_details"].items()}
    table = table.append_column(
        "usage_details", pa.array([list(counts.items())], pa.map_(pa.string(), pa.uint64()))
    ).append_column("metadata", pa.array([list(METADATA.items())], pa.map_(pa.string(), pa.string())))
    for name in ("start_time", "end_time", "completion_start_time"):
        times = table[name].cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.schema.get_field_index(name), name, times)
    pq.write_table(table, path)
    return path


@pytest.fixture
def expected(tmp_path: Path) -> LoggedCall:
    return one(write(tmp_path / "api.jsonl", [API]))


def test_an_observation_of_the_api(expected: LoggedCall) -> None:
    assert (expected.model, expected.alias, expected.provider) == ("gpt-4.1", "gpt-4.1", None)
    assert expected.usage == Usage(input=500, cache_read=1500, output=50)
    assert expected.logged_usd == Decimal("0.5")
    caller = expected.caller
    assert (caller.key, caller.key_alias, caller.team, caller.end_user) == ("4e1f", "support-emea", "desk", "ann")
    assert (caller.tags, expected.session) == (("nightly",), "s-1")
    assert expected.text is Text.WHOLE
    assert expected.request is not None
    assert expected.request.api is Api.CHAT
    assert expected.opening is not None
    assert expected.opening.system == (SYSTEM,)
    assert expected.asked is not None
    assert (expected.asked.sampled, expected.asked.ended, expected.at) == (False, 1795165926.1, 1795165924.1)
    assert expected.manner.streamed is True


@pytest.mark.parametrize(
    "name", ["api.json", "v2.json", "v2.jsonl", "blob.jsonl", "blob.json", "blob.parquet", "page.csv", "blob.csv"]
)
def test_every_export_gives_the_same(tmp_path: Path, expected: LoggedCall, name: str) -> None:
    exports: dict[str, dict[str, Any]] = {"api": API, "v2": API_V2, "blob": BLOB, "page": API_V2}
    path, row = tmp_path / name, exports[name.partition(".")[0]]
    if path.suffix == ".csv":
        as_csv(path, row)
    elif path.suffix == ".parquet":
        as_parquet(path, row)
    elif path.suffix == ".json" and row is not BLOB:
        path.write_text(json.dumps({"data": [row], "meta": {"page": 1}}), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps([row]), encoding="utf-8")
    else:
        write(path, [{"data": [row], "meta": {"cursor": None}}] if row is API_V2 else [row])
    assert one(path) == expected


def test_a_trace_with_its_observations(tmp_path: Path, expected: LoggedCall) -> None:
    bare = {name: value for name, value in API.items() if name not in ("userId", "sessionId", "tags")}
    span = {**bare, "id": "c", "type": "SPAN"}
    scores = [
        {"name": "liked", "dataType": "BOOLEAN", "value": 1, "observationId": None},
        {"name": "right", "dataType": "BOOLEAN", "value": 0, "observationId": "c"},
    ]
    trace = {"id": "a", "userId": "ann", "sessionId": "s-1", "tags": ["nightly"], "htmlPath": "/", "scores": scores}
    for row in ({**trace, "observations": [span, bare]}, {"trace": trace, "observations": [span, bare]}):
        calls, account = read_all(write(tmp_path / "trace.jsonl", [row]))
        assert [replace(call, place="") for call in calls] == [replace(expected, good=True)]
        assert calls[0].place.endswith("trace.jsonl:1, observation 2")
        assert (account.rows, account.left[Reason.NO_CALL].rows) == (2, 1)
    two = {**trace, "observations": [bare, {**bare, "id": "c"}]}
    calls, _ = read_all(write(tmp_path / "trace.jsonl", [two]))
    assert [call.good for call in calls] == [None, False]  # nobody can tell which of two a trace's score is of


@pytest.mark.parametrize("processes", [1, 2])
def test_scores_in_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """An export to blob storage as it lies there."""
    monkeypatch.setattr(apart, "WORTH_IT", 0 if processes > 1 else 10**9)
    monkeypatch.setattr(apart, "cores", lambda: processes)
    said = {"timestamp": "2026-11-20 09:13:00.000000", "trace_id": "a", "data_type": "BOOLEAN", "name": "right"}
    scores = [
        {**said, "observation_id": "1", "value": 1}, {**said, "observation_id": "2", "value": 1},
        {**said, "observation_id": "2", "value": 0, "name": "kind"}, {**said, "observation_id": "9", "value": 0},
        {**said, "observation_id": None, "value": 0},
        {**said, "observation_id": "3", "data_type": "NUMERIC", "value": 1},
    ]  # fmt: skip
    for name, rows in (("observations_v2", [{**BLOB, "id": str(n)} for n in range(1, 4)]), ("a_scores", scores)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "2026-11-20.jsonl.gz", rows)
    account = Account()
    with Sources.of([str(tmp_path)]).reading() as reading:
        calls = {call.id: call.good for call in reading(account, lambda _: None)}
    assert calls == {"1": True, "2": False, "3": None}
    assert {reason: left.rows for reason, left in account.left.items()} == {Reason.LABEL: 4, Reason.NO_CALL: 2}
    assert (account.rows, account.damaged) == (9, 0)


def test_labels_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "LABELS_AT_MOST", 2)
    said = {"data_type": "BOOLEAN", "value": 0}
    rows = [{**said, "observation_id": one} for one in ("a", "b", "c", "b")]
    _, account = read_all(write(tmp_path / "log.jsonl", rows))
    assert account.labels == {"a": False, "b": False}
    assert {reason: left.rows for reason, left in account.left.items()} == {Reason.LABEL: 3, Reason.NO_CALL: 1}


def test_what_is_no_call_is_counted_as_that(tmp_path: Path) -> None:
    rows = [
        {**API, "type": "SPAN"}, {**BLOB, "type": "EVENT"}, {**BLOB, "type": "AGENT"},
        {"id": "s", "trace_id": "a", "observation_id": "b", "name": "liked", "value": 1, "data_type": "BOOLEAN"},
        {"id": "a", "name": "chat", "user_id": "ann", "bookmarked": False, "tags": []},
        {**API, "level": "ERROR", "statusMessage": "429"}, {**API, "metadata": {"cache_hit": "True"}},
        {**API, "startTime": None}, {**API, "model": None}, {**API, "usageDetails": {}, "usage": None,
        "promptTokens": 0, "completionTokens": 0}, {**API, "usageDetails": {"input": -1}},
    ]  # fmt: skip
    calls, account = read_all(write(tmp_path / "log.jsonl", rows))
    assert not calls
    assert {reason: left.rows for reason, left in account.left.items()} == {
        Reason.NO_CALL: 4, Reason.LABEL: 1, Reason.FAILED: 1, Reason.SERVED: 1, Reason.NO_TIME: 1, Reason.NO_MODEL: 1,
        Reason.NO_TOKENS: 1, Reason.BAD_TOKENS: 1,
    }  # fmt: skip
    assert account.damaged == 4


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"usageDetails": {"input": 10, "output": 5}}, Usage(input=10, output=5)),
        # of LiteLLM, whose input has the written tokens in it
        (
            {"usage_details": {"input": 500, "cache_creation_input_tokens": 400, "cache_read_input_tokens": 1500,
                               "output": 50, "total": 2050}},
            Usage(100, 1500, 400, 0, 50),
        ),
        # of Anthropic, by Langfuse's own SDK
        (
            {"usageDetails": {"input": 100, "input_cached_tokens": 1500, "input_cache_creation": 0,
                              "input_cache_creation_5m": 300, "input_cache_creation_1h": 100, "output": 50,
                              "total": 2050}},
            Usage(100, 1500, 300, 100, 50),
        ),
        # the whole prompt, and what of it was read beside it
        ({"usageDetails": {"input": 2000, "cache_read_input_tokens": 1500, "output": 50, "total": 2050}},
         Usage(500, 1500, 0, 0, 50)),
        ({"usageDetails": {"input": 80, "input_audio_tokens": 20, "output": 5, "output_reasoning_tokens": 45}},
         Usage(input=100, output=50)),
        # the whole answer, and what of it was reasoning beside it
        ({"usageDetails": {"input": 100, "output": 50, "output_reasoning_tokens": 20, "total": 150}},
         Usage(input=100, output=50)),
        ({"usageDetails": {"prompt_tokens": 10, "completion_tokens": 5}}, Usage(input=10, output=5)),
        ({"usageDetails": {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 1}},
         Usage(input=10, output=5)),
        ({"usage": {"input": 10, "output": 5, "total": 15, "unit": "TOKENS", "inputCost": 0.1}},
         Usage(input=10, output=5)),
        ({"usage": {"input": 10, "output": 5, "unit": "CHARACTERS"}}, None),
        ({"inputUsage": "10", "outputUsage": "5", "totalUsage": "15", "input": "Hello"}, Usage(input=10, output=5)),
        ({"usageDetails": {}, "promptTokens": 10, "completionTokens": 5}, Usage(input=10, output=5)),
        ({"usageDetails": "{}", "input": "Hello"}, None),
    ],
)  # fmt: skip
def test_tokens_by_kind(row: dict[str, Any], found: Usage | None) -> None:
    assert usage(row) == found


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (SENT["messages"], Text.WHOLE),
        (SYSTEM, Text.WHOLE),
        ({**SENT, "tools": [{"type": "function", "function": {"name": "f"}}]}, Text.WHOLE),
        ({"input": [{"role": "user", "content": SYSTEM}], "instructions": "Be kind."}, Text.WHOLE),
        ([{"role": "user", "content": SYSTEM}, {"type": "function_call", "arguments": "{}"}], Text.WHOLE),
        ([{"role": "user", "parts": [{"type": "text", "content": SYSTEM}]}], Text.ABSENT),
        ({"content": "role"}, Text.ABSENT),
        ({"args": ["What?"]}, Text.ABSENT),
        ([["human", "What?"]], Text.ABSENT),
        ("redacted-by-litellm", Text.REDACTED),
        (None, Text.ABSENT),
        ("", Text.ABSENT),
    ],
)  # fmt: skip
def test_only_a_prompt_that_is_all_there_is_compared(tmp_path: Path, sent: object, text: Text) -> None:
    found = one(write(tmp_path / "log.jsonl", [{**API, "input": sent}]))
    assert found.text is text
    assert (found.request is None) is (text is not Text.WHOLE)


def test_what_a_log_does_not_tell_is_not_known(tmp_path: Path) -> None:
    found = one(write(tmp_path / "log.jsonl", [{**API, "completionStartTime": None, "metadata": {}, "sessionId": ""}]))
    assert found.manner.streamed is None
    assert (found.caller.key, found.session) == ("p", None)
