"""Lever 4 on the real proxy: each request to the model that the artifact decides on, on every API."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from tests.wire.proxy import ACME, PATHS, Proxy, Reply, wait_for
from tests.wire.tiers import CLAUDE, EASY, GPT, HARD, MODELS_OF, WATCHED

COMBINATIONS = [(api, stream, group) for api in PATHS for stream in (False, True) for group in (GPT, CLAUDE)]


def ask(proxy: Proxy, prompt: str, api: str = "chat", group: str = GPT, **more: Any) -> Reply:
    task = "greetings" if prompt == EASY else "law"
    headers = {"x-fivelevers-task": task, **more.pop("headers", {})}
    url = f"{proxy.stack.litellm_url}{PATHS[api]}"
    body: dict[str, Any] = {"model": group, "stream": more.pop("stream", False), **more}
    if api == "responses":
        body = {"input": prompt, **body}
    else:
        body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 60, **body}
    answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {ACME}", **headers}, timeout=60)
    return Reply(answer.raise_for_status().text, answer.headers)


@pytest.mark.parametrize(("api", "stream", "group"), COMBINATIONS)
def test_what_is_easy_goes_to_the_cheap_model_and_what_is_hard_does_not(
    quiet: Proxy, api: str, stream: bool, group: str
) -> None:
    for prompt, model, said in zip((EASY, HARD), MODELS_OF[group], ("routed", "worth-it"), strict=True):
        reply = ask(quiet, prompt, api, group, stream=stream)
        (row,) = quiet.attempts(reply.request_id)
        assert row["model"].startswith(model)
        assert row["alias"] == group
        assert reply.headers["x-fivelevers-routing"].startswith(said)
        if not stream:  # else the headers are there before the answer
            assert model in reply.headers["x-fivelevers-model"]


def test_the_saving_is_what_the_strong_model_had_cost(quiet: Proxy) -> None:
    (row,) = quiet.attempts(ask(quiet, EASY).request_id)
    savings = quiet.query("select lever, basis, usd from saving where event_id = ?", row["event_id"])
    assert [(one["lever"], one["basis"]) for one in savings] == [("routing", "estimated")]
    assert sum(one["usd"] for one in savings) == row["cost_without_us_usd"] - row["cost_usd"] > 0
    # gpt-4.1 costs twenty times what gpt-4.1-nano does, in and out
    assert row["cost_without_us_usd"] == 20 * row["cost_usd"]


def test_shadow_tells_and_routes_nothing(quiet: Proxy) -> None:
    def compared(how: str) -> float:
        return quiet.metric("fivelevers_requests_total", lever="routing", result=f"watch-{how}")

    before = sum(map(compared, ("lost", "won", "same", "unknown")))
    reply = ask(quiet, EASY, "messages", group=WATCHED)
    (row, *_) = quiet.attempts(reply.request_id)
    assert row["model"] == "gpt-4.1"
    assert reply.headers["x-fivelevers-routing"].startswith("shadow routed; model=weak")
    assert quiet.query("select 1 from saving where event_id = ?", row["event_id"]) == []
    # The cheap model is asked behind it, at the lever's expense.
    pair = wait_for(lambda: quiet.attempts(reply.request_id), lambda rows: len(rows) == 2)
    assert [(one["model"], one["charged_to"]) for one in pair] == [("gpt-4.1", None), ("gpt-4.1-nano", "routing")]
    told = wait_for(lambda: sum(map(compared, ("lost", "won", "same", "unknown"))), lambda count: count > before)
    assert told == before + 1


def test_whoever_skips_the_lever_has_the_strong_model(quiet: Proxy) -> None:
    reply = ask(quiet, EASY, headers={"x-fivelevers-skip": "routing"})
    assert quiet.attempts(reply.request_id)[0]["model"] == "gpt-4.1"


def test_an_open_tool_call_is_answered_by_the_model_that_made_it(quiet: Proxy) -> None:
    session = {"x-fivelevers-session": uuid.uuid4().hex}
    first = ask(quiet, EASY, headers=session)
    assert quiet.attempts(first.request_id)[0]["model"] == "gpt-4.1-nano"
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": HARD},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "nothing"},
    ]
    for headers, model in ((session, "gpt-4.1-nano"), ({"x-fivelevers-session": uuid.uuid4().hex}, "gpt-4.1")):
        reply = ask(quiet, HARD, messages=turns, headers=headers)
        assert quiet.attempts(reply.request_id)[0]["model"] == model
        assert reply.headers["x-fivelevers-routing"] == "tool-call"


def test_where_the_cheap_model_fails_the_strong_one_answers(quiet: Proxy) -> None:
    quiet.fault(fault="500", match={"model": "gpt-4.1-nano"})
    try:
        reply = ask(quiet, EASY)
    finally:
        quiet.no_faults()
    rows = quiet.attempts(reply.request_id, 2)
    assert [(row["model"], bool(row["success"])) for row in rows] == [("gpt-4.1-nano", False), ("gpt-4.1", True)]
    told = wait_for(lambda: explained(quiet, reply.request_id), lambda said: "(failed)" in said)
    assert [line.strip() for line in told.splitlines() if "sent to" in line] == [
        "sent to weak (routed)",
        "sent to strong (failed)",
    ]
    assert "openai/gpt-4.1-nano failed: InternalServerError" in told


def explained(proxy: Proxy, request_id: str) -> str:
    """What `fivelevers explain route` says."""
    return CliRunner().invoke(app, ["explain", "route", request_id, "--ledger", proxy.stack.ledger_url]).output
