"""The ways out on the real proxy with two workers: a header, a command, an endpoint; at once, and after a restart."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.order import LEVER_NAMES
from tests.wire.proxy import ACME, CLAUDE, GPT, PATHS, Proxy, Reply, wait_for
from tests.wire.test_endpoints_admin import ADMIN, post
from tests.wire.workers import on_each_worker, rewrite_policy

SKIP = "x-fivelevers-skip"


def send(proxy: Proxy, skip: str | None = None, model: str = GPT, api: str = "chat", stream: bool = False) -> Reply:
    """A request over a connection of its own, past Envoy, which would keep to one worker."""
    prompt = "What is 2 + 3?"
    said = {"input": prompt} if api == "responses" else {"messages": [{"role": "user", "content": prompt}]}
    tokens = {} if api == "responses" else {"max_tokens": 20}
    headers = {"authorization": f"Bearer {ADMIN}"} | ({SKIP: skip} if skip is not None else {})
    answer = httpx.post(
        proxy.stack.litellm_url + PATHS[api],
        json={"model": model, "stream": stream, **said, **tokens},
        headers=headers,
        timeout=60,
    )
    return Reply(answer.text, answer.raise_for_status().headers)


def told(proxy: Proxy, model: str = GPT) -> list[str | None]:
    """What each worker says is off, asked while the other one is held."""
    return [said.headers.get(SKIP) for said in on_each_worker(proxy, lambda: send(proxy, model=model))]


@pytest.fixture
def resumed(quiet: Proxy) -> Iterator[Proxy]:
    post(quiet, "resume").raise_for_status()
    yield quiet
    post(quiet, "resume").raise_for_status()
    assert wait_for(lambda: told(quiet), lambda seen: seen == [None, None]) == [None, None]


@pytest.mark.parametrize(
    ("skip", "levers", "echo"),
    [
        ("all", list(LEVER_NAMES), "all"),
        ("Batch, semantic-cache", ["semantic_cache", "batch"], "semantic_cache,batch"),
        ("batch,no-such-lever", ["batch"], "batch"),
        ("nothing like it", [], None),
    ],
)
def test_the_header_is_honoured_told_and_kept(resumed: Proxy, skip: str, levers: list[str], echo: str | None) -> None:
    before = resumed.metric("fivelevers_requests_total", lever="batch", result="skipped")
    reply = send(resumed, skip)
    assert reply.headers.get(SKIP) == echo
    assert reply.headers.get(f"{SKIP}-unknown") == ("1" if "no" in skip else None)
    (row,) = resumed.attempts(reply.request_id)
    assert row["skipped"] == str(levers).replace("'", '"')
    assert row["cost_usd"] > 0
    after = resumed.metric("fivelevers_requests_total", lever="batch", result="skipped")
    assert after - before == ("batch" in levers)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("api", "model"), [("chat", CLAUDE), ("messages", CLAUDE), ("responses", GPT)])
def test_the_header_works_on_every_api(resumed: Proxy, api: str, model: str, stream: bool) -> None:
    reply = send(resumed, "routing", model, api, stream)
    assert reply.headers[SKIP] == "routing"
    (row,) = resumed.attempts(reply.request_id)
    assert row["skipped"] == '["routing"]'


def test_off_reaches_both_workers_within_a_second_and_so_does_resume(resumed: Proxy) -> None:
    def in_time() -> bool:
        seen = []
        for path in ("off", "resume"):
            post(resumed, path, route="support", reason="a test").raise_for_status()
            time.sleep(1)  # the promise itself: from then on no worker answers otherwise
            seen.append((told(resumed), told(resumed, CLAUDE)))
        return seen == [(["all", "all"], [None, None]), ([None, None], [None, None])]

    assert any(in_time() for _ in range(5))  # a busy machine breaks the promise now and then, not each time


def test_a_treated_session_is_treated_no_more(resumed: Proxy) -> None:
    text = resumed.policy.read_text()
    switch = 'batch:          {mode: "off"}'
    assert switch in text
    try:
        on = text.replace(switch, 'batch: {mode: "on"}').replace("holdout: 0.02", "holdout: 0.0")
        rewrite_policy(resumed, on)
        (row,) = resumed.attempts(send(resumed).request_id)
        assert (row["treated"], row["skipped"]) == ('["batch"]', "[]")
        (row,) = resumed.attempts(send(resumed, "batch").request_id)
        assert (row["treated"], row["skipped"]) == ("[]", '["batch"]')
        (row,) = resumed.attempts(send(resumed, "routing").request_id)
        assert (row["treated"], row["skipped"]) == ('["batch"]', '["routing"]')
    finally:
        rewrite_policy(resumed, text)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in a shell that knows of no proxy."""
    for name in [name for name in os.environ if name.startswith(("FIVELEVERS_", "LITELLM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("way", ["ledger", "redis", "proxy"])
def test_the_command_works_on_either_store_alone_and_through_a_proxy(resumed: Proxy, way: str, elsewhere: Path) -> None:
    stack = resumed.stack
    arguments, env = {
        "ledger": (["--ledger", stack.ledger_url], {}),
        "redis": (["--state-dir", str(elsewhere)], {"FIVELEVERS_REDIS_URL": stack.redis_url}),
        "proxy": (["--url", stack.litellm_url], {"LITELLM_MASTER_KEY": stack.master_key}),
    }[way]

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*words, *arguments], env=env)
        return result.exit_code, result.output

    code, said = run("off", "--route", "support", "--lever", "batch", "--reason", "[bold]a test")
    assert (code, "batch on support" in said, "[bold]a test" in said) == (0, True, True), said
    assert wait_for(lambda: told(resumed), lambda seen: seen == ["batch"] * 2) == ["batch"] * 2
    code, said = run("off", "--list")
    assert (code, "support" in said) == (0, True)
    code, said = run("resume", "--reason", "done")
    assert (code, "resumed: batch on support" in said, "Nothing is switched off" in said) == (0, True, True), said
    assert wait_for(lambda: told(resumed), lambda seen: seen == [None, None]) == [None, None]
    assert run("resume")[0] == 1
    assert not list(elsewhere.iterdir())


def test_the_command_says_why_it_could_not(resumed: Proxy, elsewhere: Path) -> None:
    url, policy = resumed.stack.litellm_url, str(resumed.policy)
    for arguments, said in (
        (["--reason", "x", "--url", url, "--key", ACME], "403"),
        (["--reason", "x", "--url", url, "--key", "sk-none"], "401"),
        (["--reason", "x", "--url", "http://127.0.0.1:1"], "refused"),
        (["--reason", "x", "--url", resumed.stack.simulator_url], "404"),
        (["--url", url, "--key", ADMIN], "--reason"),
        (["--reason", "x", "--lever", "cache", "--url", url], "prompt_cache"),
        (["--reason", "x", "--route", "suport", "--policy", policy, "--ledger", "sqlite://"], "'support'"),
        (["--reason", "x"], "there is no ledger"),
        (["--reason", "x", "--redis", "redis://127.0.0.1:1/0"], "refused"),
    ):
        result = CliRunner().invoke(app, ["off", *arguments])
        assert result.exit_code == 2, arguments
        assert said in result.stderr
    assert not list(elsewhere.iterdir())
    assert told(resumed) == [None, None]


def test_it_survives_a_restart_of_the_proxy_and_the_loss_of_redis_s_data(resumed: Proxy) -> None:
    post(resumed, "off", route="support", lever="semantic_cache").raise_for_status()
    with Redis.from_url(resumed.stack.redis_url) as redis:
        redis.flushall()
    resumed.stack.restart_litellm()
    # The first answers, not those after a while.
    assert told(resumed) == ["semantic_cache"] * 2
    assert told(resumed, CLAUDE) == [None, None]
