"""The batch lane as its callers meet it: through Envoy and its filter, two proxy workers, and the providers' bill."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from fivelevers.embedded.health import port_taken
from fivelevers.embedded.ports import HOST, Port
from tests.wire.agreement import Books, judged
from tests.wire.batching import CLAUDE, MINI, PIPELINE, SLOW, takes
from tests.wire.conftest import CONTENT_KEY
from tests.wire.proxy import ACME, GLOBEX, PATHS, Proxy, together, wait_for

CLIENTS = Path(__file__).parents[2] / "examples/clients"
HOURS_S = 4 * 3600.0
PIPELINES = {"host": "pipelines.test"}  # whose bodies the filter sees
ASYNC = {"prefer": "respond-async"}
_CASES = itertools.count()


@pytest.fixture(scope="module")
def books(proxy: Proxy) -> Books:
    """What this module asks is all that stands on the bill."""
    proxy.no_faults()
    opened = Books.opened(proxy)
    takes(proxy, 0)
    return opened


@pytest.fixture
def stood(books: Books) -> Proxy:
    return books.proxy


@contextmanager
def sdk(proxy: Proxy, **options: Any) -> Iterator[openai.OpenAI]:
    url = f"{proxy.stack.envoy_url}/v1"
    with openai.OpenAI(**{"base_url": url, "api_key": ACME, "default_headers": PIPELINES, **options}) as client:
        yield client


def sums(model: str) -> dict[str, Any]:
    """A body that no other test sends. Counted and not drawn: the simulated models are wrong now and then."""
    return {"model": model, "messages": [{"role": "user", "content": f"What is 4 + 5? Case {next(_CASES)}."}]}


def ask(proxy: Proxy, body: Mapping[str, Any], key: str = ACME, **headers: str) -> httpx.Response:
    given = {"authorization": f"Bearer {key}", **headers}
    return proxy.http.post(PATHS["chat"], json=body, headers=given)


def look(proxy: Proxy, place: str, key: str = ACME) -> httpx.Response:
    return proxy.http.get(place, headers={"authorization": f"Bearer {key}"})


def cancelled(proxy: Proxy, place: str) -> str:
    reply = proxy.http.post(f"{place}/cancel", headers={"authorization": f"Bearer {ACME}"})
    status: str = reply.json()["status"]
    return status


def rows(proxy: Proxy, request_id: str, count: int = 1) -> list[bool]:
    """Whether each attempt of a request stands on the bill as the row of a batch."""
    return [proxy.billed(attempt)["batch"] is not None for attempt in proxy.attempts(request_id, count)]


def test_an_unmodified_sdk_that_waits_long_gets_plain_answers_at_the_batch_price(stood: Proxy) -> None:
    with sdk(stood, timeout=HOURS_S) as client:
        calls = [partial(client.chat.completions.with_raw_response.create, **sums(PIPELINE)) for _ in range(8)]
        replies = together(calls)
    for raw in replies:
        assert (raw.headers["x-fivelevers-lane"], raw.headers["x-fivelevers-route"]) == ("batch", "pipeline")
        assert "9" in (raw.parse().choices[0].message.content or "")
        (attempt,) = stood.attempts(raw.headers["x-fivelevers-request"])
        assert attempt["cost_usd"] * 2 == attempt["cost_without_us_usd"]
        assert stood.billed(attempt)["batch"] is not None


def test_the_same_sdk_with_its_own_patience_is_answered_live(stood: Proxy) -> None:
    with sdk(stood) as client:
        raw = client.chat.completions.with_raw_response.create(**sums(PIPELINE))
    assert raw.headers["x-fivelevers-lane"] == "live; why=caller-waits"
    assert rows(stood, raw.headers["x-fivelevers-request"]) == [False]


def test_claude_waits_too(stood: Proxy) -> None:
    url, deadline = stood.stack.envoy_url, {"x-fivelevers-deadline": "2h"}
    with anthropic.Anthropic(base_url=url, api_key=ACME, timeout=HOURS_S, max_retries=0) as claude:
        raw = claude.messages.with_raw_response.create(**sums(CLAUDE), max_tokens=100, extra_headers=deadline)
    assert raw.headers["x-fivelevers-lane"] == "batch"
    assert "9" in str(raw.parse().content)
    assert rows(stood, raw.headers["x-fivelevers-request"]) == [True]


def test_who_asks_for_it_gets_202_and_comes_back(stood: Proxy) -> None:
    reply = ask(stood, sums(MINI), **ASYNC)
    assert (reply.status_code, reply.headers["preference-applied"]) == (202, "respond-async")
    place = reply.headers["location"]
    done = wait_for(lambda: look(stood, f"{place}/result"), lambda found: found.status_code != 202)
    assert (done.status_code, "9" in done.json()["choices"][0]["message"]["content"]) == (200, True)
    assert look(stood, place).json()["status"] == "done"
    assert [look(stood, where, GLOBEX).status_code for where in (place, f"{place}/result")] == [404, 404]
    listed = look(stood, "/fivelevers/v1/requests", GLOBEX).json()["data"]
    assert reply.json()["id"] not in [one["id"] for one in listed]


def test_responses_in_the_background_are_polled_with_their_sdk(stood: Proxy) -> None:
    with sdk(stood) as client:
        asked: dict[str, Any] = {"model": MINI, "input": f"What is 4 + 5? Case {next(_CASES)}.", "background": True}
        raw = client.responses.with_raw_response.create(**asked)
        begun = raw.parse()
        assert (begun.status, begun.id[:9]) == ("queued", "resp_flr_")
        done = wait_for(lambda: client.responses.retrieve(begun.id), lambda found: found.status == "completed")
        assert "9" in done.output_text
        slow = client.responses.create(model=SLOW, input="What is 4 + 5?", background=True)
        assert client.responses.cancel(slow.id).status == "cancelled"
    assert rows(stood, raw.headers["x-fivelevers-request"]) == [True]


def test_a_key_of_idempotency_stands_for_one_request(stood: Proxy) -> None:
    body, key = sums(SLOW), {"idempotency-key": uuid.uuid4().hex}
    first, again = ask(stood, body, **ASYNC, **key), ask(stood, body, **ASYNC, **key)
    assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = ask(stood, sums(SLOW), **ASYNC, **key)
    assert (other.status_code, "Idempotency-Key" in other.json()["error"]["message"]) == (422, True)
    assert cancelled(stood, first.headers["location"]) == "cancelled"


class BreaksOnce(httpx.HTTPTransport):
    """The first answer is not waited for."""

    tries = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tries += 1
        if self.tries == 1:
            request.extensions["timeout"]["read"] = 0.3
        return super().handle_request(request)


def test_an_sdk_that_asks_again_finds_what_it_asked_before(stood: Proxy) -> None:
    attached = stood.metric("fivelevers_lane_requests_total", result="attached")
    transport = BreaksOnce()
    with httpx.Client(transport=transport) as http, sdk(stood, timeout=HOURS_S, http_client=http) as client:
        raw = client.chat.completions.with_raw_response.create(**sums(PIPELINE))
    assert (transport.tries, "9" in raw.text) == (2, True)
    assert stood.metric("fivelevers_lane_requests_total", result="attached") == attached + 1


def test_a_cancelled_request_costs_nothing(stood: Proxy) -> None:
    reply = ask(stood, sums(SLOW), **ASYNC)
    assert cancelled(stood, reply.headers["location"]) == "cancelled"
    gone = look(stood, f"{reply.headers['location']}/result")
    assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")
    assert stood.query("select * from attempt where request_id = ?", reply.headers["x-fivelevers-request"]) == []


def test_without_the_lanes_redis_a_request_is_asked_live_and_once(stood: Proxy) -> None:
    redis = stood.stack.pids["lane-redis"]
    body = sums(SLOW)
    os.kill(redis, signal.SIGSTOP)
    try:
        reply = ask(stood, body, **ASYNC)
    finally:
        os.kill(redis, signal.SIGCONT)
    assert (reply.status_code, reply.headers["x-fivelevers-lane"]) == (200, "live; why=redis")
    assert rows(stood, reply.headers["x-fivelevers-request"]) == [False]
    # What Redis may have heard of it before it stopped is taken back.
    work_id = f"flr_{reply.headers['x-fivelevers-request']}"
    wait_for(lambda: look(stood, f"/fivelevers/v1/requests/{work_id}"), lambda found: found.status_code == 404, 40)


@pytest.mark.parametrize(
    ("program", "model", "says"),
    [
        ("openai_patient.py", MINI, "batch | "),
        ("anthropic_patient.py", CLAUDE, "batch | "),
        ("openai_background.py", MINI, "completed | "),
        ("respond_async.sh", MINI, '"object":"chat.completion"'),
    ],
)
def test_the_example_clients_run_as_they_stand(stood: Proxy, program: str, model: str, says: str) -> None:
    before = [entry["batch"] for entry in stood.bill_entries()].count(None)
    command = [sys.executable] if program.endswith(".py") else ["sh"]
    env = {**os.environ, "FIVELEVERS_URL": stood.stack.envoy_url, "FIVELEVERS_API_KEY": ACME, "POLL_S": "0.5"}
    done = subprocess.run(
        [*command, str(CLIENTS / program), model], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout.replace('": "', '":"')
    assert "395" in done.stdout  # 17 * 23 + 4
    assert [entry["batch"] for entry in stood.bill_entries()].count(None) == before


def test_a_lane_of_its_own_holds_callers_and_hands_the_rest_on(stood: Proxy) -> None:
    port = Port(0)
    where = ["--litellm", stood.stack.litellm_url, "--listen", f"{HOST}:{port.number}"]
    command = [sys.executable, "-m", "fivelevers", "lane", *where, "--redis", stood.stack.lane_redis_url]
    process = subprocess.Popen(command, env={**os.environ, "FIVELEVERS_CONTENT_KEY": CONTENT_KEY})
    try:
        url = f"http://{HOST}:{port.number}"
        wait_for(lambda: port_taken(HOST, port.number), bool)
        with openai.OpenAI(base_url=f"{url}/fivelevers/lane/v1", api_key=ACME, timeout=HOURS_S) as client:
            raw = client.chat.completions.with_raw_response.create(**sums(PIPELINE))
            assert (raw.headers["x-fivelevers-lane"], "9" in raw.text) == ("batch", True)
            assert rows(stood, raw.headers["x-fivelevers-request"]) == [True]
            parts = list(client.chat.completions.create(**sums(PIPELINE), stream=True))
            assert "9" in "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
        nobody = {"authorization": "Bearer sk-nobody"}
        assert httpx.get(f"{url}/fivelevers/v1/requests", headers=nobody).status_code == 401
    finally:
        process.terminate()
        assert process.wait(20) == 0
        port.release()


def test_the_ledger_agrees_with_the_bill_on_all_of_it(books: Books) -> None:
    told = books.settled()
    assert judged(told) == ([], [])
    entries = books.proxy.bill_entries()
    assert {entry["batch"] is not None for entry in entries} == {True, False}
    assert len({entry["custom_id"] for entry in entries if entry["batch"]}) == sum(1 for e in entries if e["batch"])
    (saved,) = books.proxy.query(
        "select sum(usd) usd from saving join attempt using (event_id) where lever = 'batch' and at >= ?", books.since
    )
    assert saved["usd"] > 0
