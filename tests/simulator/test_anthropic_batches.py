"""Anthropic's message batches by the official SDK."""

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import anthropic
import pytest
from anthropic.types.messages import MessageBatch

from tests.simulator.conftest import Running
from tests.simulator.test_openai_batches import DAY_S, advance, settings


def request(number: int, **changed: Any) -> Any:
    params = {
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": f"What is {number} * 7?"}],
    }
    return {"custom_id": f"row-{number}", "params": params | changed}


def submit(claude: anthropic.Anthropic, requests: Sequence[Any]) -> MessageBatch:
    return claude.messages.batches.create(requests=requests)


def ended(claude: anthropic.Anthropic, batch: MessageBatch) -> MessageBatch:
    for _ in range(1000):
        batch = claude.messages.batches.retrieve(batch.id)
        if batch.processing_status == "ended":
            return batch
        time.sleep(0.005)
    raise AssertionError(f"still {batch.processing_status}")


def results(claude: anthropic.Anthropic, batch: MessageBatch) -> dict[str, Any]:
    return {row.custom_id: row.result for row in claude.messages.batches.results(batch.id)}


def test_a_batch_goes_its_way_by_the_clock(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=1000)
    batch = submit(claude, [request(number) for number in range(8)])
    assert (batch.processing_status, batch.request_counts.processing, batch.results_url) == ("in_progress", 8, None)
    advance(simulator, 500)
    batch = claude.messages.batches.retrieve(batch.id)
    assert (batch.request_counts.processing, batch.request_counts.succeeded) == (8, 0)
    with pytest.raises(anthropic.AnthropicError, match="results_url"):
        claude.messages.batches.results(batch.id)
    early = simulator.http.get(
        f"/v1/messages/batches/{batch.id}/results", headers={"x-api-key": "sk-team-b", "anthropic-version": "1"}
    )
    assert early.status_code == 404
    advance(simulator, 510)
    batch = claude.messages.batches.retrieve(batch.id)
    assert batch.processing_status == "ended"
    assert (batch.request_counts.processing, batch.request_counts.succeeded) == (0, 8)
    assert batch.results_url is not None
    assert batch.results_url.startswith(simulator.url)
    assert (batch.expires_at - batch.created_at).total_seconds() == DAY_S
    answers = results(claude, batch)
    assert sorted(answers) == [f"row-{number}" for number in range(8)]
    assert list(answers) != sorted(answers)
    assert "42" in answers["row-6"].message.content[0].text
    assert answers["row-6"].message.usage.service_tier == "batch"


def test_wrong_requests_are_told_in_the_results(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=0)
    wrong = [request(1, max_tokens=0), request(2, stream=True), request(3, model="claude-9"), request(4, messages=[])]
    batch = ended(claude, submit(claude, [request(0), *wrong]))
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (1, 4)
    found = results(claude, batch)
    kinds = {name: result.error.error.type for name, result in found.items() if result.type == "errored"}
    assert kinds == {
        "row-1": "invalid_request_error",
        "row-2": "invalid_request_error",
        "row-3": "not_found_error",
        "row-4": "invalid_request_error",
    }
    assert simulator.sim.bill.requests == 1


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [request(1), request(1)],
        [request(1) | {"custom_id": "a b"}],
        [request(1) | {"custom_id": "a" * 65}],
        [request(1) | {"custom_id": ""}],
        [request(1) | {"params": None}],
    ],
)
def test_wrong_creates_are_refused(claude: anthropic.Anthropic, simulator: Running, requests: list[Any]) -> None:
    with pytest.raises(anthropic.BadRequestError):
        submit(claude, requests)
    assert list(claude.messages.batches.list()) == []


def test_the_window_ends_and_what_is_done_is_kept(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=1.9 * DAY_S)
    batch = submit(claude, [request(number) for number in range(10)])
    advance(simulator, DAY_S)
    batch = claude.messages.batches.retrieve(batch.id)
    assert batch.ended_at == batch.expires_at
    assert (batch.request_counts.succeeded, batch.request_counts.expired) == (5, 5)
    kinds = [result.type for result in results(claude, batch).values()]
    assert (kinds.count("succeeded"), kinds.count("expired")) == (5, 5)


def test_cancelling_takes_its_time_and_keeps_what_is_done(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=1000, cancel_s=60)
    batch = submit(claude, [request(number) for number in range(8)])
    advance(simulator, 450)
    batch = claude.messages.batches.cancel(batch.id)
    assert batch.processing_status == "canceling"
    assert batch.cancel_initiated_at is not None
    with pytest.raises(anthropic.BadRequestError, match="canceling"):
        claude.messages.batches.delete(batch.id)
    advance(simulator, 60)
    batch = claude.messages.batches.retrieve(batch.id)
    assert (batch.request_counts.succeeded, batch.request_counts.canceled) == (3, 5)
    assert {result.type for result in results(claude, batch).values()} == {"succeeded", "canceled"}
    with pytest.raises(anthropic.BadRequestError, match="ended"):
        claude.messages.batches.cancel(batch.id)


def test_results_go_after_29_days_or_when_they_are_deleted(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=0)
    batch = ended(claude, submit(claude, [request(1)]))
    advance(simulator, 29 * DAY_S)
    old = claude.messages.batches.retrieve(batch.id)
    assert old.results_url is None
    assert old.archived_at is not None
    assert claude.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve(batch.id)
    assert list(claude.messages.batches.list()) == []
    assert simulator.http.get("/sim/batches").json()["rows"] == {"submitted": 1, "succeeded": 1}


def test_the_list_has_pages_in_both_directions(claude: anthropic.Anthropic, simulator: Running) -> None:
    made = [submit(claude, [request(1)]).id for _ in range(25)][::-1]
    first = claude.messages.batches.list()
    assert (len(first.data), first.has_more) == (20, True)
    assert [batch.id for batch in first] == made
    older = claude.messages.batches.list(after_id=made[9], limit=5)
    assert ([batch.id for batch in older.data], older.has_more) == (made[10:15], True)
    newer = claude.messages.batches.list(before_id=made[9], limit=5)
    assert ([batch.id for batch in newer.data], newer.has_more) == (made[4:9], True)
    assert not claude.messages.batches.list(before_id=made[4], limit=5).has_more
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.batches.list(after_id="msgbatch_none")
    with anthropic.Anthropic(base_url=simulator.url, api_key="sk-other", max_retries=0) as other:
        assert list(other.messages.batches.list()) == []
        with pytest.raises(anthropic.NotFoundError):
            other.messages.batches.retrieve(made[0])


def test_marks_work_and_both_discounts_stack(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=1000)
    system = [
        {"type": "text", "text": "Be kind to all who ask. " * 900, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    batch = submit(claude, [request(number, system=system) for number in range(3)])
    advance(simulator, 1010)
    used = [result.message.usage for result in results(claude, batch).values()]
    assert [bool(usage.cache_read_input_tokens) for usage in used] == [False, True, True]
    prices = {
        row["kind"]: Decimal(row["usd"]) / row["tokens"] * 1_000_000
        for row in simulator.http.get("/sim/bill").json()["lines"]
        if row["batch"]
    }
    assert prices == {
        "input": Decimal("0.50"),
        "cache_read": Decimal("0.05"),
        "cache_write_1h": Decimal("1.00"),
        "output": Decimal("2.50"),
    }


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"fault": "commit_then_drop"}, anthropic.APIConnectionError),
        ({"fault": "commit_then_500"}, anthropic.InternalServerError),
        ({"fault": "timeout", "hang_s": 60}, anthropic.APITimeoutError),
        ({"fault": "slow_commit", "hang_s": 0.8}, anthropic.APITimeoutError),
    ],
)
def test_a_create_is_committed_and_nobody_is_told(
    claude: anthropic.Anthropic, simulator: Running, fault: dict[str, Any], error: type[Exception]
) -> None:
    simulator.sim.faults.add([fault | {"times": 1}, {"fault": "list_lag", "hang_s": 50}])
    with pytest.raises(error):
        submit(claude.with_options(timeout=0.2), [request(1)])
    assert list(claude.messages.batches.list()) == []
    while not simulator.sim.batches.by_id:
        time.sleep(0.01)
    assert list(claude.messages.batches.list()) == []
    advance(simulator, 50)
    (batch,) = claude.messages.batches.list()
    assert batch.request_counts.processing == 1


@pytest.mark.parametrize(("fault", "kind"), [("expire", "expired"), ("cancelled", "canceled")])
def test_a_batch_that_ends_early(claude: anthropic.Anthropic, simulator: Running, fault: str, kind: str) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add([{"fault": "token_limit_exceeded"}, {"fault": fault, "share": 0.3}])
    batch = ended(claude, submit(claude, [request(number) for number in range(10)]))
    kinds = [result.type for result in results(claude, batch).values()]
    assert (kinds.count("succeeded"), kinds.count(kind)) == (3, 7)


def test_all_requests_fail(claude: anthropic.Anthropic, simulator: Running) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add({"fault": "row_error"})
    batch = ended(claude, submit(claude, [request(1), request(2)]))
    assert {result.error.error.type for result in results(claude, batch).values()} == {"api_error"}
    assert simulator.sim.bill.requests == 0
