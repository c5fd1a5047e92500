"""Faults of files and batches: what was committed though nobody was told, lists that lag, batches that end early."""

import time
from typing import Any

import openai
import pytest

from tests.simulator.conftest import Running
from tests.simulator.test_openai_batches import CHAT, ended, line, rows, settings, submit, upload

LINES = [line(number) for number in range(10)]


def create(oai: openai.OpenAI, file: str) -> None:
    oai.batches.create(input_file_id=file, endpoint=CHAT, completion_window="24h")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"fault": "commit_then_drop"}, openai.APIConnectionError),
        ({"fault": "commit_then_500"}, openai.InternalServerError),
        ({"fault": "timeout", "hang_s": 60}, openai.APITimeoutError),
    ],
)
def test_a_create_is_committed_and_nobody_is_told(
    oai: openai.OpenAI, simulator: Running, fault: dict[str, Any], error: type[Exception]
) -> None:
    settings(simulator, seconds=0)
    file = upload(oai, LINES)
    simulator.sim.faults.add(fault | {"match": {"api": "batches", "call": "create"}, "times": 1})
    with pytest.raises(error):
        create(oai.with_options(timeout=0.5), file)
    (batch,) = oai.batches.list()
    assert batch.input_file_id == file
    assert len(rows(oai, ended(oai, batch).output_file_id)) == 10


def test_a_call_without_the_fault_changes_nothing_twice(oai: openai.OpenAI, simulator: Running) -> None:
    file = upload(oai, LINES)
    simulator.sim.faults.add([{"fault": "commit_then_drop", "times": 1}])
    oai.batches.list()
    assert simulator.sim.faults.rules[0].hits == 0
    create(oai.with_options(max_retries=1), file)
    assert len(oai.batches.list().data) == 2


@pytest.mark.parametrize("fault", ["429", "500"])
def test_errors_commit_nothing(oai: openai.OpenAI, simulator: Running, fault: str) -> None:
    file = upload(oai, LINES)
    simulator.sim.faults.add({"fault": fault, "match": {"api": "batches"}})
    with pytest.raises(openai.APIStatusError):
        create(oai, file)
    with pytest.raises(openai.APIStatusError):
        oai.batches.list()
    simulator.sim.faults.clear()
    assert list(oai.batches.list()) == []
    simulator.sim.faults.add({"fault": fault, "match": {"api": "files", "call": "content"}, "times": 1})
    with pytest.raises(openai.APIStatusError):
        oai.files.content(file)
    assert oai.files.content(file).content


def test_a_slow_commit_is_not_there_at_first(oai: openai.OpenAI, simulator: Running) -> None:
    file = upload(oai, LINES)
    simulator.sim.faults.add({"fault": "slow_commit", "hang_s": 1.6, "times": 1})
    with pytest.raises(openai.APITimeoutError):
        create(oai.with_options(timeout=0.1), file)
    assert list(oai.batches.list()) == []
    while not simulator.sim.batches.by_id:
        time.sleep(0.01)
    assert len(oai.batches.list().data) == 1


def test_a_new_batch_is_missing_from_the_list_for_a_while(oai: openai.OpenAI, simulator: Running) -> None:
    file = upload(oai, LINES)
    simulator.sim.faults.add([{"fault": "list_lag", "hang_s": 100}, {"fault": "commit_then_drop", "times": 1}])
    with pytest.raises(openai.APIConnectionError):
        create(oai, file)
    batch = submit(oai, LINES)
    assert oai.batches.retrieve(batch.id).id == batch.id
    assert list(oai.batches.list()) == []
    simulator.http.post("/sim/clock", json={"advance_s": 100})
    assert len(oai.batches.list().data) == 2
    shown = simulator.http.get("/sim/batches").json()["batches"]
    assert [row["faults"] for row in shown] == [["list_lag"], ["list_lag"]]


@pytest.mark.parametrize(("fault", "code"), [("expire", "batch_expired"), ("cancelled", "batch_cancelled")])
def test_a_batch_that_ends_early(oai: openai.OpenAI, simulator: Running, fault: str, code: str) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add({"fault": fault, "share": 0.3})
    batch = ended(oai, submit(oai, LINES))
    assert batch.status == code.removeprefix("batch_")
    done, left = rows(oai, batch.output_file_id), rows(oai, batch.error_file_id)
    assert (len(done), len(left)) == (3, 7)
    assert {row["error"]["code"] for row in left.values()} == {code}
    assert simulator.sim.bill.requests == 3


def test_the_token_limit_by_a_rule(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add({"fault": "token_limit_exceeded", "match": {"model": "gpt-4.1-mini"}, "times": 1})
    batch = ended(oai, submit(oai, LINES))
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert batch.errors.data[0].code == "token_limit_exceeded"
    assert ended(oai, submit(oai, LINES)).status == "completed"


def test_some_rows_fail(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    simulator.sim.faults.add([{"fault": "row_error", "match": {"contains": "What is 4 "}}])
    batch = ended(oai, submit(oai, LINES))
    assert list(rows(oai, batch.error_file_id)) == ["row-4"]
    assert len(rows(oai, batch.output_file_id)) == 9


def test_rules_for_batches_leave_live_calls_alone(oai: openai.OpenAI, simulator: Running) -> None:
    faults = ["commit_then_drop", "commit_then_500", "slow_commit", "list_lag", "row_error", "expire", "cancelled"]
    simulator.sim.faults.add([{"fault": fault} for fault in [*faults, "token_limit_exceeded"]])
    body: Any = line(1)["body"]
    assert oai.chat.completions.create(**body).usage is not None
