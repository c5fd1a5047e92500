"""Where outcomes come from, through the real proxy: validators, truncation, repeats, and what a caller says later."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import orjson
import pytest
import yaml

from fivelevers.metering.report import GroupBy, Totals, build
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.report_query import clusters
from tests.wire.proxy import ACME, CLAUDE, GPT, PATHS, Proxy, together, wait_for
from tests.wire.workers import rewrite_policy

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
YOUNG = {**PERSON, "properties": {**PERSON["properties"], "age": {"type": "integer", "maximum": 10}}}  # type: ignore[dict-item]
FACTS = "Name: Ada Lovelace\nAge: 36"
VALIDATORS: dict[str, list[dict[str, Any]]] = {
    "person": [{"json_schema": PERSON}],
    "young": [{"json_schema": YOUNG}],
    "number": [{"regex": r"\b395\b"}],
    "word": [{"regex": "no such word"}],
    "tools": [{"tool_arguments": True}],
    "says-yes": [{"python": "dataclasses:is_dataclass"}],
    "says-no": [{"python": "builtins:callable"}],
    "breaks": [{"python": "json:loads"}],
}
COMBINATIONS = [(api, stream, model) for api in PATHS for stream in (False, True) for model in (GPT, CLAUDE)]
T = TypeVar("T")


@pytest.fixture(scope="module")
def checking(proxy: Proxy) -> Iterator[Proxy]:
    """The proxy under a policy with a route for each of these validators, and one on which a repeat means retry."""
    shipped = proxy.policy.read_text()
    policy = yaml.safe_load(shipped)
    ours = [
        {"name": name, "match": {"header": {"x-test-route": name}}, "validators": validators}
        for name, validators in VALIDATORS.items()
    ]
    retry = {"name": "retry", "match": {"header": {"x-test-route": "retry"}}, "repeat_means": "retry"}
    policy["routes"] = [*ours, retry, *policy["routes"]]
    rewrite_policy(proxy, yaml.safe_dump(policy))
    yield proxy
    rewrite_policy(proxy, shipped)


def ask(proxy: Proxy, api: str, route: str, prompt: str, *, model: str = GPT, session: str = "", **body: Any) -> str:
    """One request on ``route``; its id."""
    headers = {"authorization": f"Bearer {ACME}", "x-test-route": route}
    if session:
        headers["x-fivelevers-session"] = session
    if api == "responses":
        body["input"] = prompt
    else:
        body = {"max_tokens": 300, "messages": [{"role": "user", "content": prompt}], **body}
    answer = proxy.http.post(PATHS[api], json={"model": model, **body}, headers=headers)
    assert answer.is_success, answer.text
    assert answer.headers["x-fivelevers-route"] == route
    return answer.headers["x-fivelevers-request"]


def json_shape(api: str) -> dict[str, Any]:
    """Asks for a person as JSON."""
    if api == "responses":
        return {"text": {"format": {"type": "json_schema", "name": "person", "schema": PERSON}}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}}


def forced_tool(api: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Asks for a call of `save_person`."""
    if api == "messages":
        tool = {"name": "save_person", "input_schema": schema}
        return {"tools": [tool], "tool_choice": {"type": "tool", "name": "save_person"}}
    function = {"name": "save_person", "parameters": schema}
    if api == "responses":
        return {"tools": [{"type": "function", **function}], "tool_choice": {"type": "function", "name": "save_person"}}
    chosen = {"type": "function", "function": {"name": "save_person"}}
    return {"tools": [{"type": "function", "function": function}], "tool_choice": chosen}


def _each(
    call: Callable[[str, bool, str], T], combinations: Sequence[tuple[str, bool, str]] = COMBINATIONS
) -> Iterator[tuple[tuple[str, bool, str], T]]:
    """What ``call`` gives for every API, streamed and not, bridged and not; all of them at once."""
    return zip(combinations, together([partial(call, *combination) for combination in combinations]), strict=True)


def judged(proxy: Proxy, request_id: str) -> tuple[str, str, str | None]:
    """The one outcome of a request: (outcome, source, detail)."""
    (row,) = proxy.outcomes(request_id)
    return row["outcome"], row["source"], row["detail"]


def test_a_json_schema_judges_the_text(quiet: Proxy, checking: Proxy) -> None:
    def three(api: str, stream: bool, model: str) -> tuple[str, str, str]:
        call = partial(ask, checking, api, model=model, stream=stream)
        good, too_old = (call(route=route, prompt=FACTS, **json_shape(api)) for route in ("person", "young"))
        return good, too_old, call(route="person", prompt="What is 17 * 23 + 4?")

    shapely = [combination for combination in COMBINATIONS if combination[0] != "messages"]
    for asked, requests in _each(three, shapely):
        assert [judged(checking, request_id) for request_id in requests] == [
            ("success", "validator", None),
            ("failure", "validator", "json_schema: breaks properties/age/maximum"),
            ("failure", "validator", "json_schema: the text is not JSON"),
        ], asked


def test_a_pattern_judges_the_text(quiet: Proxy, checking: Proxy) -> None:
    def two(api: str, stream: bool, model: str) -> list[str]:
        call = partial(ask, checking, api, prompt="What is 17 * 23 + 4?", model=model, stream=stream)
        return [call(route="number"), call(route="word")]

    for asked, requests in _each(two):
        assert [judged(checking, request_id) for request_id in requests] == [
            ("success", "validator", None),
            ("failure", "validator", "regex: the pattern is not in the text"),
        ], asked


def test_the_tools_own_schemas_judge_their_arguments(quiet: Proxy, checking: Proxy) -> None:
    def two(api: str, stream: bool, model: str) -> list[str]:
        call = partial(ask, checking, api, "tools", FACTS, model=model, stream=stream)
        return [call(**forced_tool(api, PERSON)), call(**forced_tool(api, YOUNG))]

    for asked, requests in _each(two):
        assert [judged(checking, request_id) for request_id in requests] == [
            ("success", "validator", None),
            ("failure", "validator", "tool_arguments: call 1 of 1 has arguments that break `maximum`"),
        ], asked


def test_an_answer_cut_short_failed(quiet: Proxy, checking: Proxy) -> None:
    def one(api: str, stream: bool, model: str) -> str:
        limit: dict[str, Any] = {"max_output_tokens" if api == "responses" else "max_tokens": 16}
        prompt = "What is the policy on holidays?"  # nothing tells: the answer is a few sentences of regret
        return ask(checking, api, "retry", prompt, model=model, stream=stream, **limit)

    for asked, request_id in _each(one):
        outcome, source, detail = judged(checking, request_id)
        assert (outcome, source) == ("failure", "provider"), asked
        assert str(detail).startswith("truncated: "), asked


def test_an_entry_point_judges_the_answer(quiet: Proxy, checking: Proxy) -> None:
    before = checking.metric("fivelevers_bypass_total", lever="metering", reason="validators")
    yes, no, broken = (ask(checking, "chat", route, "What is 2 + 2?") for route in ("says-yes", "says-no", "breaks"))
    assert judged(checking, yes) == ("success", "validator", None)
    assert judged(checking, no) == ("failure", "validator", "python: builtins:callable said False")
    counted = partial(checking.metric, "fivelevers_bypass_total", lever="metering", reason="validators")
    assert wait_for(counted, lambda n: n == before + 1) == before + 1
    assert not checking.query("select * from outcome where request_id = ?", broken)


def repeats(proxy: Proxy, *request_ids: str) -> set[str]:
    """Which of these requests failed by a repeat, once all of them are in the ledger."""
    for request_id in request_ids:
        proxy.attempts(request_id)
    marks = ", ".join("?" * len(request_ids))
    sql = f"select request_id from outcome where source = 'repeat' and request_id in ({marks})"  # noqa: S608
    return {row["request_id"] for row in proxy.query(sql, *request_ids)}


@pytest.mark.parametrize("api", PATHS)
def test_the_same_again_says_that_the_answer_before_it_failed(quiet: Proxy, checking: Proxy, api: str) -> None:
    again = partial(ask, checking, api, "retry", "What is 5 * 5?")
    session = uuid.uuid4().hex
    first, streamed, third = again(session=session), again(session=session, stream=True), again(session=session)
    other = ask(checking, api, "retry", "What is 6 * 6?", session=session)
    unnamed = [again(), again()]
    elsewhere = ask(checking, api, "number", "What is 5 * 5?", session=session)
    assert repeats(checking, first, streamed, third, other, *unnamed, elsewhere) == {first, streamed}
    (row,) = checking.outcomes(first)
    assert (row["outcome"], row["source"]) == ("failure", "repeat")


def test_a_crowd_of_the_same_at_once_is_no_failure(quiet: Proxy, checking: Proxy) -> None:
    # Every answer takes its time, so that all have come before the first goes, unless the machine is very busy.
    checking.fault(fault="timeout", hang_s=2, match={"contains": "7 * 7"})

    def crowd(session: str) -> set[str]:
        one = partial(ask, checking, "chat", "retry", "What is 7 * 7?", session=session)
        return repeats(checking, *together([one] * 100))

    assert any(crowd(f"crowd-{n}") == set() for n in range(3))


def totals(proxy: Proxy, team: str) -> Totals:
    ledger = Ledger(proxy.stack.ledger_url)
    try:
        return next(line.totals for line in build(clusters(ledger, GroupBy.TEAM, 0.0), []) if line.group == team)
    finally:
        ledger.close()


def test_what_a_caller_says_later_changes_the_report(quiet: Proxy, checking: Proxy) -> None:
    again = partial(ask, checking, "chat", "retry", "What is 8 * 9?", session=uuid.uuid4().hex)
    first, second = again(), again()
    assert repeats(checking, first, second) == {first}
    before = totals(checking, "team-acme")
    for request_id in (first, second):
        said = {"request_id": request_id, "outcome": "success"}
        headers = {"authorization": f"Bearer {ACME}"}
        checking.http.post("/fivelevers/v1/outcomes", json=said, headers=headers).raise_for_status()
    checking.outcomes(first, 2)
    checking.outcomes(second)
    after = totals(checking, "team-acme")
    assert (after.successes, after.failures) == (before.successes + 2, before.failures - 1)


def test_of_an_answer_that_failed_nothing_is_kept_but_why(quiet: Proxy, checking: Proxy) -> None:
    """The route keeps no content, and why an answer failed is no way around that."""
    marker = f"marker{uuid.uuid4().hex}"
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    shape: dict[str, Any] = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    }
    request_id = ask(checking, "chat", "person", f"Name: {marker}", **shape)
    assert judged(checking, request_id) == ("failure", "validator", "json_schema: breaks required")
    rows = [dict(row) for table in ("attempt", "outcome") for row in checking.query(f"select * from {table}")]  # noqa: S608
    assert marker.encode() not in orjson.dumps(rows)
