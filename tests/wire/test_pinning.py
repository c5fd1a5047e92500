"""Affinity on the real proxy with two workers: a prefix stays where it is, whichever worker is asked."""

from __future__ import annotations

import os
import signal
import uuid
from functools import partial
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.wire.fleet import CLAUDE, LLAMA
from tests.wire.proxy import ACME, PATHS, Proxy, together, wait_for
from tests.wire.workers import on_each_worker

RULES = "The rules of the north wing are read aloud on the first Monday of the month. " * 100
COMBINATIONS = [(api, stream) for api in PATHS for stream in (False, True)]


class Talk:
    """A conversation of its own, each request over a new connection, so that either worker may get it."""

    def __init__(self, proxy: Proxy, model: str, api: str = "chat", *, stream: bool = False) -> None:
        self.name = uuid.uuid4().hex
        self.proxy, self.model, self.api, self.stream = proxy, model, api, stream
        self.turns: list[dict[str, Any]] = []

    def ask(self, question: str) -> httpx.Response:
        self.turns.append({"role": "user", "content": question})
        body: dict[str, Any] = {"model": self.model, "stream": self.stream}
        system = f"Conversation {self.name}. {RULES}"
        if self.api == "responses":
            body |= {"instructions": system, "input": self.turns}
        elif self.api == "messages":
            block = {"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}
            body |= {"system": [block], "messages": self.turns, "max_tokens": 50}
        else:
            body |= {"messages": [{"role": "system", "content": system}, *self.turns], "max_tokens": 50}
        headers = {"authorization": f"Bearer {ACME}"}
        answer = httpx.post(f"{self.proxy.stack.litellm_url}{PATHS[self.api]}", json=body, headers=headers, timeout=60)
        self.turns.append({"role": "assistant", "content": "It is so."})
        return answer.raise_for_status()

    def settled(self, answer: httpx.Response) -> Any:
        """The ledger's last row of a request: once it is there, its end has been noted down."""
        return self.proxy.attempts(answer.headers["x-fivelevers-request"])[-1]

    def went_to(self) -> list[str]:
        """The paths of its requests at the simulator, in order."""
        seen = httpx.get(f"{self.proxy.stack.simulator_url}/sim/requests?last=500").json()["requests"]
        return [row["path"].partition("/v1/")[0] for row in seen if self.name in row["body"]]


def test_a_conversation_stays_at_the_replica_that_holds_it(quiet: Proxy) -> None:
    talks = [Talk(quiet, LLAMA, api, stream=stream) for api, stream in COMBINATIONS]

    def everyone_asks() -> list[httpx.Response]:
        return together([partial(talk.ask, "What is 4 + 4?") for talk in talks])

    everyone_asks()
    later = [dict(zip(talks, said, strict=True)) for said in on_each_worker(quiet, everyone_asks)]
    for talk in talks:
        assert len(set(talk.went_to())) == 1, (talk.api, talk.stream)
        assert all(talk.settled(said[talk])["cache_read_tokens"] > 1500 for said in later), (talk.api, talk.stream)


def test_another_conversation_goes_to_the_other_replica(quiet: Proxy) -> None:
    with Redis.from_url(quiet.stack.redis_url) as redis:  # of two idle replicas, the one given least in all gets it
        for key in redis.scan_iter("fl:affinity:*"):
            redis.delete(key)
    one, other = Talk(quiet, LLAMA), Talk(quiet, LLAMA)
    assert one.ask("What is 2 + 2?").headers["x-fivelevers-affinity"].startswith("held=0 ")
    other.ask("What is 3 + 3?")
    assert set(other.went_to()).isdisjoint(one.went_to())


def test_what_fails_at_one_replica_is_tried_at_the_other(quiet: Proxy) -> None:
    talk = Talk(quiet, LLAMA)
    talk.ask("What is 2 + 2?")
    quiet.fault(fault="500", times=1, match={"contains": talk.name})
    talk.ask("What is 5 + 5?")
    first, failed, retried = talk.went_to()
    assert first == failed
    assert failed != retried


@pytest.mark.parametrize("stream", [False, True])
def test_a_marked_prefix_stays_in_its_workspace(quiet: Proxy, stream: bool) -> None:
    talk = Talk(quiet, CLAUDE, "messages", stream=stream)
    first = talk.settled(talk.ask("What is 0 + 1?"))
    rows = [first, *map(talk.settled, [talk.ask(f"What is {n} + 1?") for n in range(4)])]
    assert len({row["deployment"] for row in rows}) == 1
    assert all(row["cache_read_tokens"] > 1500 for row in rows[1:])


def test_what_no_workspace_holds_goes_where_litellm_sends_it(quiet: Proxy) -> None:
    answer = Talk(quiet, CLAUDE, "messages").ask("What is 1 + 1?")
    assert "x-fivelevers-affinity" not in answer.headers


def test_without_redis_litellm_chooses_and_it_is_counted(quiet: Proxy) -> None:
    redis, before = quiet.stack.pids["redis"], quiet.metric("fivelevers_bypass_total", reason="affinity")
    os.kill(redis, signal.SIGKILL)
    try:
        talk = Talk(quiet, LLAMA)
        for n in range(4):
            assert "x-fivelevers-affinity" not in talk.ask(f"What is {n} + 1?").headers
        assert wait_for(lambda: quiet.metric("fivelevers_bypass_total", reason="affinity") - before, lambda n: n >= 4)
    finally:
        quiet.stack._processes["redis"].stop()
        quiet.stack._start_redis()
    again = Talk(quiet, LLAMA)
    pinned = wait_for(lambda: again.ask("What is 1 + 1?").headers, lambda headers: "x-fivelevers-affinity" in headers)
    assert "x-fivelevers-affinity" in pinned


def test_who_skips_the_lever_is_left_alone(quiet: Proxy) -> None:
    headers = {"authorization": f"Bearer {ACME}", "x-fivelevers-skip": "prompt_cache"}
    body = {"model": LLAMA, "messages": [{"role": "user", "content": "What is 1 + 1?"}]}
    answer = quiet.http.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()
    assert "x-fivelevers-affinity" not in answer.headers
