"""Lever 5 on the real proxy: the quantised model answers the treated sessions, and the original whatever else."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.stores.switches import Switches
from tests.wire.proxy import ACME, PATHS, Proxy, Reply, wait_for
from tests.wire.quantized import BF16, FP8, HELD, RAMPED, ROUTED, SMALL, STALE
from tests.wire.test_endpoints_admin import ADMIN
from tests.wire.tiers import EASY, HARD
from tests.wire.workers import health_of_each, on_each_worker

HEADER = "x-fivelevers-quantized"


def ask(proxy: Proxy, group: str = RAMPED, api: str = "chat", *, session: str = "", **more: Any) -> Reply:
    headers = {"x-fivelevers-session": session or uuid.uuid4().hex, **more.pop("headers", {})}
    body: dict[str, Any] = {"model": group, "stream": more.pop("stream", False)}
    turns = [{"role": "user", "content": more.pop("prompt", "What is 2 + 3?")}]
    body |= {"input": turns[0]["content"]} if api == "responses" else {"messages": turns, "max_tokens": 40}
    url = f"{proxy.stack.litellm_url}{PATHS[api]}"
    answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {ACME}", **headers}, timeout=60)
    return Reply(answer.raise_for_status().text, answer.headers)


@pytest.fixture
def ramped(quiet: Proxy) -> Proxy:
    """Once both workers have heard the quantised model's server."""
    told = wait_for(
        lambda: health_of_each(quiet), lambda each: all(set(one["quantization"]) == {STALE} for one in each)
    )
    assert [set(one["quantization"]) for one in told] == [{STALE}, {STALE}]
    return quiet


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_quantised_model_answers_and_is_paid_at_its_own_price(ramped: Proxy, api: str, stream: bool) -> None:
    reply = ask(ramped, api=api, stream=stream)
    assert reply.headers[HEADER] == "fp8"
    (row,) = ramped.attempts(reply.request_id)
    assert (row["model"], row["alias"]) == (FP8, RAMPED)
    savings = ramped.query("select lever, basis, usd from saving where event_id = ?", row["event_id"])
    assert [(one["lever"], one["basis"]) for one in savings] == [("quantization", "estimated")]
    assert sum(one["usd"] for one in savings) == row["cost_without_us_usd"] - row["cost_usd"] > 0
    # registered.GATED has 2e-7 in and 8e-7 out, the original costs half as much again
    assert row["cost_without_us_usd"] == pytest.approx(1.5 * row["cost_usd"], rel=0.01)


def test_a_session_keeps_its_model_and_the_holdout_has_the_original(ramped: Proxy) -> None:
    heard: dict[str, set[str]] = {}
    for name in [f"s{n}" for n in range(12)] * 2:
        heard.setdefault(name, set()).add(ask(ramped, HELD, session=name).headers[HEADER])
    assert all(len(words) == 1 for words in heard.values())
    assert set.union(*heard.values()) == {"fp8", "holdout"}


def test_whoever_skips_the_lever_has_the_original(ramped: Proxy) -> None:
    reply = ask(ramped, headers={"x-fivelevers-skip": "quantization"})
    assert reply.headers[HEADER] == "skipped"
    assert ramped.attempts(reply.request_id)[0]["model"] == BF16


def test_a_server_of_another_version_has_no_traffic_and_health_says_why(ramped: Proxy) -> None:
    reply = ask(ramped, STALE)
    assert reply.headers[HEADER] == "void"
    assert ramped.attempts(reply.request_id)[0]["model"] == BF16
    for health in health_of_each(ramped):
        assert health["quantization"] == {STALE: "the server is version 0.23.0, and 0.22.1 was gated"}


def test_lever_4_chooses_the_model_and_lever_5_who_serves_it(ramped: Proxy) -> None:
    for prompt, task, model in ((EASY, "greetings", SMALL), (HARD, "law", FP8)):
        reply = ask(ramped, ROUTED, prompt=prompt, headers={"x-fivelevers-task": task})
        assert ramped.attempts(reply.request_id)[0]["model"] == model
        assert reply.headers.get(HEADER) == ("fp8" if model == FP8 else None)


def test_where_the_quantised_model_fails_the_original_answers(ramped: Proxy) -> None:
    ramped.fault(fault="500", match={"model": FP8})
    try:
        reply = ask(ramped)
    finally:
        ramped.no_faults()
    rows = ramped.attempts(reply.request_id, 2)
    assert [(row["model"], bool(row["success"])) for row in rows] == [(FP8, False), (BF16, True)]
    assert reply.headers[HEADER] == "failed"


def command(proxy: Proxy, *words: str) -> None:
    done = CliRunner().invoke(app, [*words, "--route", RAMPED, "--url", proxy.stack.litellm_url, "--key", ADMIN])
    assert done.exit_code == 0, done.output


def said(proxy: Proxy) -> list[str]:
    return on_each_worker(proxy, lambda: ask(proxy).headers[HEADER])


def test_a_rollback_reaches_every_worker_and_is_lifted_by_resume(ramped: Proxy) -> None:
    command(ramped, "fp8", "rollback", "--reason", "answers look odd")
    try:
        assert wait_for(lambda: said(ramped), lambda each: each == ["skipped"] * 2) == ["skipped"] * 2
    finally:
        command(ramped, "resume", "--lever", "quantization")
    assert wait_for(lambda: said(ramped), lambda each: each == ["fp8"] * 2) == ["fp8"] * 2


def test_a_guards_retreat_sends_all_to_the_original(ramped: Proxy) -> None:
    switches = Switches(ramped.stack.redis_url, ramped.stack.ledger_url)
    try:
        switches.retreat(RAMPED, "quantization", actor="guard", reason="success fell")
        told = wait_for(lambda: said(ramped), lambda each: each == ["shadow fp8"] * 2)
    finally:
        switches.close()
        command(ramped, "resume", "--lever", "quantization")
    assert told == ["shadow fp8"] * 2
    assert wait_for(lambda: said(ramped), lambda each: each == ["fp8"] * 2) == ["fp8"] * 2
