"""OpenAI's files and batches by the official SDK: every status, both files, and what is wrong with an input."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import openai
import orjson
import pytest
from openai.types import Batch

from tests.simulator.conftest import Running

Endpoint = Literal["/v1/responses", "/v1/chat/completions", "/v1/embeddings"]
CHAT: Endpoint = "/v1/chat/completions"
DAY_S = 86_400


def line(number: int, *, url: str = CHAT, **changed: Any) -> dict[str, Any]:
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": f"What is {number} * 7?"}]}
    return {"custom_id": f"row-{number}", "method": "POST", "url": url, "body": body | changed}


def upload(oai: openai.OpenAI, lines: Sequence[Any]) -> str:
    content = b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in lines)
    return oai.files.create(file=("rows.jsonl", content), purpose="batch").id


def submit(oai: openai.OpenAI, lines: Sequence[Any], endpoint: Endpoint = CHAT, **more: Any) -> Batch:
    return oai.batches.create(input_file_id=upload(oai, lines), endpoint=endpoint, completion_window="24h", **more)


def settings(simulator: Running, **body: Any) -> None:
    simulator.http.post("/sim/batches", json=body).raise_for_status()


def advance(simulator: Running, seconds: float) -> None:
    simulator.http.post("/sim/clock", json={"advance_s": seconds}).raise_for_status()


def ended(oai: openai.OpenAI, batch: Batch) -> Batch:
    for _ in range(1000):
        batch = oai.batches.retrieve(batch.id)
        if batch.status in {"completed", "failed", "expired", "cancelled"}:
            return batch
        time.sleep(0.005)
    raise AssertionError(f"still {batch.status}")


def rows(oai: openai.OpenAI, file_id: str | None) -> dict[str, dict[str, Any]]:
    if file_id is None:
        return {}
    found = [orjson.loads(text) for text in oai.files.content(file_id).text.splitlines()]
    assert all(row["id"].startswith("batch_req_") for row in found)
    return {row["custom_id"]: row for row in found}


def test_a_file_is_kept_listed_and_deleted(oai: openai.OpenAI, simulator: Running) -> None:
    first, second = upload(oai, [line(1)]), upload(oai, [line(2)])
    file = oai.files.retrieve(first)
    assert (file.filename, file.purpose, file.bytes) == ("rows.jsonl", "batch", len(orjson.dumps(line(1))))
    assert oai.files.content(first).content == orjson.dumps(line(1))
    assert [file.id for file in oai.files.list()] == [second, first]
    assert [file.id for file in oai.files.list(limit=1)] == [second, first]
    assert [file.id for file in oai.files.list(order="asc")] == [first, second]
    assert [file.id for file in oai.files.list(purpose="vision")] == []
    assert oai.files.delete(first).deleted
    with pytest.raises(openai.NotFoundError):
        oai.files.retrieve(first)
    advance(simulator, 30 * DAY_S)
    assert list(oai.files.list()) == []


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ({"data": {"purpose": "batch"}}, "file"),
        ({"files": {"file": b"x"}}, "purpose"),
        ({"files": {"file": b"x"}, "data": {"purpose": "fun"}}, "purpose"),
        ({"files": {"file": b"x"}, "data": {"purpose": "batch", "expires_after[seconds]": "9"}}, "expires_after"),
    ],
)
def test_wrong_uploads_are_named(simulator: Running, form: Any, named: str) -> None:
    answer = simulator.http.post("/v1/files", headers={"authorization": "Bearer k"}, **form)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(named)


def test_a_batch_goes_its_way_by_the_clock(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=1000)
    batch = submit(oai, [line(number) for number in range(8)], metadata={"job": "7"})
    assert (batch.status, batch.metadata, batch.output_file_id) == ("validating", {"job": "7"}, None)
    seen = []
    for seconds in (60, 390, 460, 90):
        advance(simulator, seconds)
        batch = oai.batches.retrieve(batch.id)
        assert batch.request_counts is not None
        seen.append((batch.status, batch.request_counts.completed))
    assert seen == [("in_progress", 0), ("in_progress", 3), ("finalizing", 8), ("completed", 8)]
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.failed) == (8, 0)
    assert batch.error_file_id is None
    answers = rows(oai, batch.output_file_id)
    assert sorted(answers) == [f"row-{number}" for number in range(8)]
    assert list(answers) != sorted(answers)
    assert all(row["error"] is None and row["response"]["status_code"] == 200 for row in answers.values())
    assert "42" in answers["row-6"]["response"]["body"]["choices"][0]["message"]["content"]
    assert batch.usage is not None
    assert batch.usage.total_tokens == sum(row["response"]["body"]["usage"]["total_tokens"] for row in answers.values())
    assert batch.model == "gpt-4.1-mini-2025-04-14"


def test_all_three_endpoints(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    said = [line(1, url="/v1/responses") | {"body": {"model": "gpt-4.1", "input": "What is 6 * 7?"}}]
    meant = [line(1, url="/v1/embeddings") | {"body": {"model": "text-embedding-3-small", "input": ["a", "b"]}}]
    spoken = ended(oai, submit(oai, said, "/v1/responses"))
    (row,) = rows(oai, spoken.output_file_id).values()
    assert "42" in row["response"]["body"]["output"][0]["content"][0]["text"]
    assert oai.responses.retrieve(row["response"]["body"]["id"]).status == "completed"
    embedded = ended(oai, submit(oai, meant, "/v1/embeddings"))
    (row,) = rows(oai, embedded.output_file_id).values()
    assert len(row["response"]["body"]["data"]) == 2


def test_a_row_is_answered_as_a_live_call_is(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    body: Any = line(3)["body"]
    live = oai.chat.completions.create(**body)
    batch = ended(oai, submit(oai, [line(3)]))
    row = rows(oai, batch.output_file_id)["row-3"]["response"]["body"]
    assert row["usage"]["prompt_tokens"] == live.usage.prompt_tokens
    assert row["choices"][0].keys() == live.to_dict()["choices"][0].keys()


def test_wrong_rows_go_into_the_error_file(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    batch = ended(oai, submit(oai, [line(1), line(2, temperature=9), line(3, stream=True)]))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 2)
    assert list(rows(oai, batch.output_file_id)) == ["row-1"]
    wrong = rows(oai, batch.error_file_id)
    assert {name: row["response"]["body"]["error"]["param"] for name, row in wrong.items()} == {
        "row-2": "temperature",
        "row-3": "stream",
    }
    assert all(row["response"]["status_code"] == 400 and row["error"] is None for row in wrong.values())


def test_a_batch_whose_rows_all_fail_has_no_output_file(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add({"fault": "row_error"})
    batch = ended(oai, submit(oai, [line(1), line(2)]))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    assert all(row["response"]["status_code"] == 500 for row in rows(oai, batch.error_file_id).values())
    assert simulator.sim.bill.requests == 0


def test_the_window_ends_and_what_is_done_is_kept(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=1.9 * DAY_S)
    batch = submit(oai, [line(number) for number in range(10)])
    advance(simulator, DAY_S - 5)
    assert oai.batches.retrieve(batch.id).status == "in_progress"
    advance(simulator, 5)
    batch = oai.batches.retrieve(batch.id)
    assert (batch.status, batch.expired_at) == ("expired", batch.expires_at)
    done, left = rows(oai, batch.output_file_id), rows(oai, batch.error_file_id)
    assert (len(done), len(left)) == (5, 5)
    assert not done.keys() & left.keys()
    assert {row["error"]["code"] for row in left.values()} == {"batch_expired"}
    assert all(row["response"] is None for row in left.values())
    assert simulator.sim.bill.requests == 5


def test_cancelling_takes_its_time_and_keeps_what_is_done(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=1000, cancel_s=60)
    batch = submit(oai, [line(number) for number in range(8)])
    advance(simulator, 450)
    assert oai.batches.cancel(batch.id).status == "cancelling"
    assert oai.batches.cancel(batch.id).status == "cancelling"
    advance(simulator, 60)
    batch = oai.batches.retrieve(batch.id)
    assert batch.status == "cancelled"
    assert (len(rows(oai, batch.output_file_id)), len(rows(oai, batch.error_file_id))) == (3, 5)
    with pytest.raises(openai.ConflictError, match="cancelled"):
        oai.batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("lines", "code", "where"),
    [
        ([], "empty_file", None),
        ([line(1), b"{"], "invalid_json_line", 2),
        ([line(1), line(1)], "duplicate_custom_id", 2),
        ([line(1, url="/v1/responses")], "mismatched_url", 1),
        ([line(1) | {"method": "GET"}], "invalid_method", 1),
        ([line(1) | {"custom_id": None}], "missing_required_parameter", 1),
        ([line(1, model="gpt-9")], "model_not_found", 1),
        ([line(1), line(2, model="gpt-4.1")], "mismatched_model", 2),
        ([line(number) for number in range(50_001)], "too_many_tasks", None),
    ],
)
def test_a_wrong_input_fails_the_batch(
    oai: openai.OpenAI, simulator: Running, lines: list[Any], code: str, where: int | None
) -> None:
    settings(simulator, seconds=0)
    batch = ended(oai, submit(oai, lines))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(error.code, error.line) for error in batch.errors.data] == [(code, where)]
    assert simulator.sim.bill.requests == 0


def test_more_enqueued_tokens_than_the_limit(oai: openai.OpenAI, simulator: Running) -> None:
    lines = [line(number) for number in range(20)]
    settings(simulator, seconds=100, enqueued_tokens={"gpt-4.1-mini": 700})
    first = submit(oai, lines)
    advance(simulator, 10)
    second = submit(oai, lines)
    advance(simulator, 10)
    assert oai.batches.retrieve(first.id).status == "in_progress"
    refused = oai.batches.retrieve(second.id)
    assert refused.status == "failed"
    assert refused.errors is not None
    assert refused.errors.data is not None
    assert refused.errors.data[0].code == "token_limit_exceeded"
    advance(simulator, 100)
    again = submit(oai, lines)
    advance(simulator, 10)
    assert oai.batches.retrieve(again.id).status == "in_progress"


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"input_file_id": "file-none"}, "input_file_id"),
        ({"endpoint": "/v1/videos"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "seconds"),
    ],
)
def test_wrong_creates_are_refused(oai: openai.OpenAI, changed: dict[str, Any], param: str) -> None:
    body: Any = {"input_file_id": upload(oai, [line(1)]), "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as refused:
        oai.batches.create(**(body | changed))
    assert refused.value.param == param
    assert list(oai.batches.list()) == []


def test_the_list_has_pages_newest_first_and_only_ones_own(oai: openai.OpenAI, simulator: Running) -> None:
    file = upload(oai, [line(1)])
    made = [oai.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h").id for _ in range(45)]
    first = oai.batches.list()
    assert (len(first.data), first.has_more) == (20, True)
    assert [batch.id for batch in first] == made[::-1]
    assert len(oai.batches.list(limit=50).data) == 45
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="sk-other", max_retries=0) as other:
        assert list(other.batches.list()) == []
        with pytest.raises(openai.NotFoundError):
            other.batches.retrieve(made[0])
        with pytest.raises(openai.BadRequestError):
            other.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")


def test_output_files_go_when_they_were_asked_to(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    policy: Any = {"anchor": "created_at", "seconds": 3600}
    batch = ended(oai, submit(oai, [line(1)], output_expires_after=policy))
    assert len(rows(oai, batch.output_file_id)) == 1
    advance(simulator, 3600)
    with pytest.raises(openai.NotFoundError):
        rows(oai, batch.output_file_id)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-5-mini"])
def test_rows_share_the_prompt_cache(oai: openai.OpenAI, simulator: Running, model: str) -> None:
    settings(simulator, seconds=0)
    rules = "Answer in one word and be polite about it. " * 200
    asked = [{"role": "system", "content": rules}, {"role": "user", "content": "Is it far?"}]
    batch = ended(oai, submit(oai, [line(number, model=model, messages=asked) for number in range(3)]))
    usage = [row["response"]["body"]["usage"] for row in rows(oai, batch.output_file_id).values()]
    cached = [row["prompt_tokens_details"]["cached_tokens"] for row in usage]
    assert cached[0] == 0
    assert min(cached[1:]) > 1024
    assert batch.usage is not None
    assert batch.usage.input_tokens_details.cached_tokens == sum(cached)
