import json
from pathlib import Path
from typing import Any

import pytest

from examples.traffic.problems import TrafficError
from examples.traffic.references import HERE, expand
from examples.traffic.workload import load, load_all, parse

GOOD: dict[str, Any] = {
    "at": 1.5,
    "tenant": "people",
    "session": "s-1",
    "api": "chat",
    "workload": "handbook",
    "body": {"model": "handbook-rag", "messages": []},
    "truth": {"check": "contains", "value": "28 days"},
}


def text(name: str) -> str:
    return (HERE / f"texts/{name}.md").read_text(encoding="utf-8").rstrip("\n")


def test_a_line_becomes_a_request() -> None:
    request = parse(json.dumps(GOOD), source="x.jsonl:1")
    assert (request.at_s, request.tenant, request.session, request.api) == (1.5, "people", "s-1", "chat")
    assert request.truth is not None
    assert request.truth.holds("It is 28 days.")


def test_texts_are_put_in_wherever_they_are_referred_to() -> None:
    body = {"a": {"$text": "handbook/leave"}, "b": [{"text": {"$text": ["handbook/leave", "handbook/pay"]}}], "c": 1}
    assert expand(body) == {
        "a": text("handbook/leave"),
        "b": [{"text": text("handbook/leave") + "\n" + text("handbook/pay")}],
        "c": 1,
    }


def test_tools_are_put_in_as_json() -> None:
    names = [tool["name"] for tool in expand({"$json": "coding/tools"})]
    assert names == ["read_file", "edit_file", "search", "list_files", "run_tests", "run_command"]


def test_turns_are_the_beginning_of_a_transcript() -> None:
    messages = expand({"$turns": "kiosk-stale-list", "first": 3})
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "cache_control" not in json.dumps(messages)


def test_only_the_last_block_is_marked() -> None:
    messages = expand({"$turns": "kiosk-stale-list", "first": 3, "mark_last": True})
    assert messages[-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert json.dumps(messages).count("cache_control") == 1
    assert "cache_control" not in json.dumps(expand({"$turns": "kiosk-stale-list", "first": 3}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": -1}, "at: -1.0 is not 0 or more"),
        ({"at": "soon"}, "at: 'soon' is not of type int or float"),
        ({"at": True}, "at: True is not of type int or float"),
        ({"tenant": None}, "tenant: None is not of type str"),
        ({"api": "completions"}, "api: 'completions' is not one of chat, messages, responses, embeddings"),
        ({"body": {}}, "body.model: missing"),
        ({"body": {"model": "m", "x": {"$text": "nowhere"}}}, "reference: there is no texts/nowhere.md"),
        ({"body": {"model": "m", "x": {"$turns": "kiosk-stale-list", "first": 999}}}, "first: 999 is not in 1..28"),
        ({"truth": {"check": "smell", "value": "x"}}, "truth.check: 'smell' is not one of"),
        ({"truth": {"check": "number", "value": "x"}}, "truth.value: 'x' does not fit the check 'number'"),
        ({"truth": {"value": 1}}, "is not null or an object with check and value"),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_field(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | change) + "\n", encoding="utf-8")
    with pytest.raises(TrafficError) as caught:
        list(load(path))
    assert str(caught.value).startswith("bad.jsonl:2: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("line", "message"), [("{", "not JSON"), ("[]", "list is not an object"), ("", "not JSON")])
def test_a_line_that_is_no_object_is_refused(line: str, message: str) -> None:
    with pytest.raises(TrafficError, match=message):
        parse(line, source="x.jsonl:1")


def test_a_missing_field_is_named() -> None:
    for name in ("at", "tenant", "session", "api", "workload", "body"):
        line = json.dumps({key: value for key, value in GOOD.items() if key != name})
        with pytest.raises(TrafficError, match=f"^{name}: missing"):
            parse(line, source="x.jsonl:1")


def test_all_files_are_read_in_the_order_of_arrival() -> None:
    requests = load_all()
    assert [request.at_s for request in requests] == sorted(request.at_s for request in requests)
    assert {request.workload for request in requests} == {"support", "handbook", "coding-agent", "tickets"}


def test_one_workload_can_be_chosen() -> None:
    assert {request.workload for request in load_all(only="tickets")} == {"tickets"}
    with pytest.raises(
        TrafficError, match="there is no 'ticket'; choose one of coding-agent, handbook, support, tickets"
    ):
        load_all(only="ticket")


def test_a_folder_without_traffic_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match=r"examples\.traffic\.build"):
        load_all(tmp_path)
