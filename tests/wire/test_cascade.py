"""Lever 4's cascade on the real proxy: the weak model where its answer is good enough, the strong one elsewhere."""

from __future__ import annotations

import json
import re
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from tests.wire import cascades
from tests.wire.proxy import ACME, PATHS, Proxy, Reply, wait_for

PICO = Decimal(10) ** 12
SAID = "x-fivelevers-cascade"
WAYS = [(api, stream) for api in PATHS for stream in (False, True)]
SUM, NO_NUMBER = "What is 17 * 23 + 4?", "Say hello."
SCHEMA = {"type": "object", "properties": {"parcel": {"type": "integer"}}, "required": ["parcel"]}


def body_of(api: str, alias: str, prompt: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": alias, "stream": stream, **more}
    if api == "responses":
        return {"input": prompt, **body}
    return {"messages": [{"role": "user", "content": prompt}], "max_tokens": 60, **body}


def post(proxy: Proxy, api: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    url = f"{proxy.stack.litellm_url}{PATHS[api]}"
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {ACME}", **headers}, timeout=60)


def ask(proxy: Proxy, alias: str, prompt: str = SUM, api: str = "chat", **more: Any) -> Reply:
    headers = more.pop("headers", {})
    answer = post(proxy, api, body_of(api, alias, prompt, **more), **headers)
    return Reply(answer.raise_for_status().text, answer.headers)


def explained(proxy: Proxy, request_id: str) -> str:
    return CliRunner().invoke(app, ["explain", "route", request_id, "--ledger", proxy.stack.ledger_url]).output


def saved(proxy: Proxy, row: Any) -> list[tuple[str, str, int]]:
    found = proxy.query("select lever, basis, usd from saving where event_id = ?", row["event_id"])
    return [(one["lever"], one["basis"], one["usd"]) for one in found]


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_a_good_weak_answer_is_given_and_the_strong_model_is_not_asked(quiet: Proxy, api: str, stream: bool) -> None:
    reply = ask(quiet, cascades.CHECKED, api=api, stream=stream)
    assert reply.headers[SAID] == ("weak-first" if stream else "weak")  # a stream's headers come before its answer
    if not stream:
        assert reply.headers["x-fivelevers-model"] == "openai/gpt-4.1-nano"
    assert any(digit in reply.text for digit in ("39", "40"))
    (row,) = quiet.attempts(reply.request_id)
    assert (row["model"], row["alias"], row["api"]) == ("gpt-4.1-nano", cascades.CHECKED, api)
    assert Decimal(row["cost_usd"]) / PICO == Decimal(quiet.billed(row)["usd"])
    # gpt-4.1 costs twenty times what gpt-4.1-nano does, in and out
    assert saved(quiet, row) == [("routing", "estimated", 19 * row["cost_usd"])]
    assert row["cost_without_us_usd"] == 20 * row["cost_usd"]
    (seen,) = quiet.outcomes(reply.request_id)
    assert (seen["outcome"], seen["source"]) == ("success", "validator")


@pytest.mark.parametrize(("api", "stream"), WAYS)
@pytest.mark.parametrize(("alias", "weak", "strong"), [
    (cascades.CHECKED, "gpt-4.1-nano", "gpt-4.1"),
    (cascades.CLAUDE, "claude-haiku-5-5", "claude-sonnet-4-5"),
])  # fmt: skip
def test_a_weak_answer_that_is_not_good_enough_is_paid_and_not_given(
    quiet: Proxy, api: str, stream: bool, alias: str, weak: str, strong: str
) -> None:
    reply = ask(quiet, alias, NO_NUMBER, api, stream=stream)
    assert reply.headers[SAID] == ("weak-first" if stream else "escalated:validators")
    if not stream:
        assert strong in reply.headers["x-fivelevers-model"]
    first, last = quiet.attempts(reply.request_id, 2)
    assert (first["model"], last["model"]) == (weak, strong)
    assert saved(quiet, first) == [("routing", "observed", -first["cost_usd"])]
    assert first["cost_without_us_usd"] == 0
    assert (saved(quiet, last), last["cost_without_us_usd"]) == ([], last["cost_usd"])
    for row in (first, last):
        assert Decimal(row["cost_usd"]) / PICO == Decimal(quiet.billed(row)["usd"])


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_litellm_charges_the_caller_s_key_for_each_call_once(
    quiet: Proxy, planting_log: Path, api: str, stream: bool
) -> None:
    """By its events of success, of which each adds its cost to the spend of its key."""
    case = uuid.uuid4().hex
    reply = ask(quiet, cascades.CHECKED, NO_NUMBER, api, stream=stream, headers={"x-test-case": case})
    paid = quiet.attempts(reply.request_id, 2)

    def events() -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in planting_log.read_text().splitlines())
        return [one for one in lines if one["case"] == case and one["hook"] == "log_success"]

    found = wait_for(events, lambda seen: len(seen) >= 3)
    assert sorted(one["model_group"] for one in found) == [cascades.CHECKED, "strong-gpt", "weak-gpt"]
    assert {one["key"] for one in found} == {found[0]["key"]} != {None}
    usd = {one["model_group"]: Decimal(repr(one["response_cost"])) for one in found}
    assert usd[cascades.CHECKED] == 0
    assert {round(usd["weak-gpt"] * PICO), round(usd["strong-gpt"] * PICO)} == {row["cost_usd"] for row in paid}


def test_the_usage_that_is_told_is_that_of_the_answer(quiet: Proxy) -> None:
    plain = ask(quiet, cascades.CHECKED, NO_NUMBER)
    streamed = ask(quiet, cascades.CHECKED, NO_NUMBER, stream=True, stream_options={"include_usage": True})
    chunks = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: {")]
    for reply, usage in ((plain, json.loads(plain.text)["usage"]), (streamed, chunks[-1]["usage"])):
        _, last = quiet.attempts(reply.request_id, 2)
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (last["input_tokens"], last["output_tokens"])


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_tool_calls_are_looked_at_and_passed_on(quiet: Proxy, api: str, stream: bool) -> None:
    about = {"name": "look_up_parcel", "description": "Looks a parcel up by its number."}
    tool: dict[str, Any] = {"type": "function", "function": {**about, "parameters": SCHEMA}}
    if api == "responses":
        tool = {"type": "function", **about, "parameters": SCHEMA}
    elif api == "messages":
        tool = {**about, "input_schema": SCHEMA}
    reply = ask(quiet, cascades.SCHEMA, "Please call look_up_parcel for parcel 4711.", api, stream=stream, tools=[tool])
    assert [row["model"] for row in quiet.attempts(reply.request_id)] == ["gpt-4.1-nano"]
    assert "look_up_parcel" in reply.text
    assert "4711" in reply.text


FORMAT = {"type": "json_schema", "json_schema": {"name": "parcel", "schema": SCHEMA}}


def test_an_answer_is_held_against_the_schema_that_the_request_brings(quiet: Proxy) -> None:
    prompt = "Extract the parcel number. Parcel: 4711"
    assert ask(quiet, cascades.SCHEMA, prompt, response_format=FORMAT).headers[SAID] == "weak"
    impossible = {**SCHEMA, "properties": {"parcel": {"type": "integer", "minimum": 10**9}}}
    strict = {"type": "json_schema", "json_schema": {"name": "parcel", "schema": impossible}}
    assert ask(quiet, cascades.SCHEMA, prompt, response_format=strict).headers[SAID] == "escalated:schema"


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_an_answer_is_taken_that_looks_like_the_right_ones_of_the_benchmark(
    quiet: Proxy, api: str, stream: bool
) -> None:
    for prompt, said, models in (
        (SUM, "weak", ["gpt-4.1-nano"]),
        (NO_NUMBER, "escalated:scorer", ["gpt-4.1-nano", "gpt-4.1"]),
    ):
        reply = ask(quiet, cascades.SCORED, prompt, api, stream=stream)
        assert reply.headers[SAID] == ("weak-first" if stream else said)
        assert [row["model"] for row in quiet.attempts(reply.request_id, len(models))] == models
        assert f"({said})" in wait_for(lambda: explained(quiet, reply.request_id), lambda found: "sent to" in found)  # noqa: B023


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_the_weak_model_says_how_sure_it_is_where_the_scorer_goes_by_that(quiet: Proxy, api: str, stream: bool) -> None:
    mark = uuid.uuid4().hex
    reply = ask(quiet, cascades.SURE, f"{SUM} ({mark})", api, stream=stream)
    assert reply.headers[SAID] == ("weak-first" if stream else "weak")
    recorded = httpx.get(f"{quiet.stack.simulator_url}/sim/requests?last=20").json()["requests"]
    (sent,) = (json.loads(one["body"]) for one in recorded if mark in one["body"])
    assert (sent["model"], sent["logprobs"]) == ("gpt-4.1-nano", True)
    assert '"logprob":' not in reply.text.replace(" ", "")  # which nobody asked for


def test_who_asks_for_log_probabilities_gets_them_from_a_cascade_too(quiet: Proxy) -> None:
    told = json.loads(ask(quiet, cascades.SURE, logprobs=True).text)["choices"][0]["logprobs"]["content"]
    assert all(token["logprob"] <= 0 for token in told)


@pytest.mark.parametrize(("alias", "why", "headers"), [
    (cascades.MOVED, "stale", {}),  # the alias holds another model than the one that was labelled
    (cascades.MISSING, "no-artifact", {}),
    (cascades.SCORED, "unknown-route", {"x-fivelevers-task": "taxes"}),
])  # fmt: skip
def test_a_scorer_that_can_not_decide_has_the_strong_model_answer(
    quiet: Proxy, alias: str, why: str, headers: dict[str, str]
) -> None:
    reply = ask(quiet, alias, headers=headers)
    assert reply.headers[SAID] == f"strong-only:{why}"
    assert [row["model"] for row in quiet.attempts(reply.request_id)] == ["gpt-4.1"]


def test_what_nobody_can_look_at_goes_to_the_strong_model(quiet: Proxy) -> None:
    reply = ask(quiet, cascades.SCHEMA)
    assert reply.headers[SAID] == "strong-only:unverifiable"
    assert [row["model"] for row in quiet.attempts(reply.request_id)] == ["gpt-4.1"]


@pytest.mark.parametrize(("alias", "why", "headers", "more"), [
    (cascades.SHADOW, "shadow", {}, {}),
    (cascades.DEAR, "too-dear", {}, {}),
    (cascades.CHECKED, "skipped", {"x-fivelevers-skip": "routing"}, {}),
    (cascades.CHECKED, "choices", {}, {"n": 2}),
])  # fmt: skip
def test_where_a_cascade_may_not_act_the_strong_model_answers(
    quiet: Proxy, alias: str, why: str, headers: dict[str, str], more: dict[str, Any]
) -> None:
    for stream in (False, True):
        reply = ask(quiet, alias, headers=headers, stream=stream, **more)
        assert reply.headers[SAID] == f"strong-only:{why}"
        (row,) = quiet.attempts(reply.request_id)
        assert (row["model"], row["cost_without_us_usd"], saved(quiet, row)) == ("gpt-4.1", row["cost_usd"], [])


@pytest.mark.parametrize("api", PATHS)
def test_the_strong_model_s_stream_is_passed_on_as_it_comes(quiet: Proxy, api: str) -> None:
    more = {"stream_options": {"include_usage": True}} if api == "chat" else {}
    reply = ask(quiet, cascades.SHADOW, NO_NUMBER, api, stream=True, **more)
    found = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    assert sum("delta" in json.dumps(each) for each in found) > 4
    (row,) = quiet.attempts(reply.request_id)
    assert row["usage_source"] == "reported"
    assert re.search(rf'"(completion|output)_tokens": ?{row["output_tokens"]}\b', reply.text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_weak_model_that_fails_costs_the_caller_nothing_but_time(quiet: Proxy, stream: bool) -> None:
    quiet.fault(fault="400", match={"model": "gpt-4.1-nano"})
    reply = ask(quiet, cascades.CHECKED, stream=stream)
    assert stream or reply.headers[SAID] == "escalated:failed"
    rows = quiet.attempts(reply.request_id, 2)
    assert [(row["model"], bool(row["success"])) for row in rows] == [("gpt-4.1-nano", False), ("gpt-4.1", True)]


def test_a_weak_model_that_is_too_slow_is_not_waited_for(quiet: Proxy) -> None:
    quiet.fault(fault="timeout", match={"model": "gpt-4.1-nano"}, hang_s=30)
    assert ask(quiet, cascades.HASTY).headers[SAID] == "escalated:timeout"


def test_a_validator_that_can_not_do_its_work_is_no_approval(quiet: Proxy) -> None:
    assert ask(quiet, cascades.BROKEN).headers[SAID] == "escalated:validators"


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_an_error_of_the_strong_model_is_told_and_not_tried_again(quiet: Proxy, api: str, stream: bool) -> None:
    quiet.fault(fault="500", match={"model": "gpt-4.1"})
    answer = post(quiet, api, body_of(api, cascades.CHECKED, NO_NUMBER, stream=stream))
    # Where LiteLLM makes another API's stream of a chat completion, the error is told within the stream.
    assert answer.status_code == (200 if stream and api != "chat" else 500), answer.text
    assert "internal error" in answer.text.lower() or "server" in answer.text.lower()
    sql = "select * from attempt where alias = ? and api = ? and stream = ? and success = 0 and model = 'gpt-4.1'"
    failed = wait_for(lambda: quiet.query(sql, cascades.CHECKED, api, stream), lambda rows: len(rows) >= 3)
    assert len(failed) == 3  # the router's own tries: num_retries is 2


SAME = """<reference>
Parcel 4711 lies in Ghent
</reference>
<candidate number="1">
Parcel 4711 lies in Ghent
</candidate>"""


def test_two_weak_models_that_agree_are_believed(quiet: Proxy) -> None:
    reply = ask(quiet, cascades.AGREED, SAME)
    assert reply.headers[SAID] == "weak"
    rows = quiet.attempts(reply.request_id, 2)
    assert sorted((row["model"], row["charged_to"] or "") for row in rows) == [
        ("gpt-4.1-nano", ""), ("gpt-4o-mini", "routing"),
    ]  # fmt: skip
    (second,) = [row for row in rows if row["charged_to"]]
    assert saved(quiet, second) == [("routing", "observed", -second["cost_usd"])]
    # What the simulated models say at large is made up of few words: now and then two of them say the same.
    greetings = [ask(quiet, cascades.AGREED, f"{NO_NUMBER} To {name}.") for name in ("Ann", "Ben", "Cleo", "Dan")]
    assert "escalated:agreement" in {reply.headers[SAID] for reply in greetings}


@pytest.mark.parametrize(("api", "stream"), WAYS)
@pytest.mark.parametrize("broken", [False, True])
def test_where_nobody_says_how_the_strong_model_of_the_deployment_answers(
    quiet: Proxy, api: str, stream: bool, broken: bool
) -> None:
    """Without a policy for the alias, and after a fault of the plugin's own hook."""
    mark = f"{api}, {stream}, {broken}"  # the same each time: so is what the simulated model makes of it
    headers = {"x-test-unplanned": "1"} if broken else {}
    reply = ask(quiet, cascades.STRAY, f"What is 17 * 23 + 4? ({mark})", api, stream=stream, headers=headers)
    assert "395" in reply.text
    recorded = httpx.get(f"{quiet.stack.simulator_url}/sim/requests?last=20").json()["requests"]
    assert [json.loads(one["body"])["model"] for one in recorded if mark in one["body"]] == ["gpt-4.1"]
    if not broken:
        (row,) = quiet.attempts(reply.request_id)
        assert (row["model"], row["usage_source"], row["success"]) == ("gpt-4.1", "reported", 1)
        assert Decimal(row["cost_usd"]) / PICO == Decimal(quiet.billed(row)["usd"])


def test_litellm_s_health_check_of_it_is_free(quiet: Proxy) -> None:
    billed = len(quiet.bill_entries())
    admin = {"authorization": f"Bearer {quiet.stack.master_key}"}
    health = quiet.http.get(f"/health?model={cascades.CHECKED}", headers=admin)
    assert health.raise_for_status().json()["healthy_count"] == 1
    assert len(quiet.bill_entries()) == billed


def test_a_cascade_of_which_nobody_says_anything_says_what_to_write(quiet: Proxy) -> None:
    answer = post(quiet, "chat", body_of("chat", cascades.LOST, SUM))
    assert answer.status_code == 400
    assert "levers.routing.cascade" in answer.text


def test_a_caller_that_leaves_a_stream_ends_the_cascade(quiet: Proxy) -> None:
    """LiteLLM goes on with what is not streamed, with a cascade as without."""
    quiet.fault(fault="timeout", match={"model": "gpt-4.1-nano"}, hang_s=30)
    body = body_of("chat", cascades.HASTY, "Whoever asked this has left.", stream=True)
    url = f"{quiet.stack.litellm_url}{PATHS['chat']}"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=body, headers={"authorization": f"Bearer {ACME}"}, timeout=1)
    time.sleep(3)  # the weak model's time is over, and the strong one would have been asked
    recorded = httpx.get(f"{quiet.stack.simulator_url}/sim/requests?last=50").json()["requests"]
    asked = [json.loads(one["body"])["model"] for one in recorded if "Whoever asked this" in one["body"]]
    assert asked == ["gpt-4.1-nano"]
