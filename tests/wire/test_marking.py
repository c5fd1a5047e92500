"""Lever 1 on the real proxy: what it puts on a request, what it leaves alone, and what it does when something fails."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from tests.wire import caching
from tests.wire.caching import AUTOMATIC, CLAUDE, ELSEWHERE, GPT, PATHS, SHADOW, conversation, marks
from tests.wire.proxy import ACME, Proxy, by_kind, wait_for
from tests.wire.random_bodies import ASKS, Ask

SYSTEM = "You look parcels up. " + "Every parcel has a number and a place. " * 500  # above every model's minimum
APIS = ("chat", "messages", "responses")
COMBINATIONS = [(api, alias, stream) for api in APIS for alias in (CLAUDE, GPT) for stream in (False, True)]
SAID = "x-fivelevers-prompt-cache"
PICO = Decimal(10) ** 12


def send(proxy: Proxy, api: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return proxy.http.post(PATHS[api], json=body, headers={"authorization": f"Bearer {ACME}", **headers})


def upstream(proxy: Proxy, marker: str) -> list[dict[str, Any]]:
    """The bodies that the provider got, of requests that hold a piece of text."""
    recorded = httpx.get(f"{proxy.stack.simulator_url}/sim/requests?last=50").json()["requests"]
    return [json.loads(request["body"]) for request in recorded if marker in request["body"]]


def told(proxy: Proxy, api: str, alias: str, name: str, **headers: str) -> tuple[httpx.Response, list[dict[str, Any]]]:
    body = conversation(api, alias, f"{name}. {SYSTEM}", stream=False)
    answer = send(proxy, api, body, **headers)
    assert answer.status_code == 200, answer.text
    return answer, upstream(proxy, f"{name}. You look")


@pytest.mark.parametrize(("api", "alias", "stream"), COMBINATIONS)
def test_the_body_upstream_differs_in_cache_fields_alone(quiet: Proxy, api: str, alias: str, stream: bool) -> None:
    name = f"alike {api} {alias} {stream}"
    body = conversation(api, alias, f"{name}. {SYSTEM}", stream=stream)
    for headers in ({"x-fivelevers-skip": "all"}, {}):
        answer = send(quiet, api, body, **headers)
        assert answer.status_code == 200, answer.text
    bodies = upstream(quiet, f"{name}. You look")
    (bare,) = [body for body in bodies if not marks(body) and "prompt_cache_options" not in body]
    (ours,) = [body for body in bodies if body is not bare]
    assert 1 <= len(marks(ours)) <= 4
    dumped = [json.dumps(caching.without_cache_fields(body)) for body in (ours, bare)]
    assert dumped[0] == dumped[1]
    if api != "messages" and alias == CLAUDE:  # here LiteLLM makes blocks of texts itself, so not even these differ
        assert json.dumps(stripped(ours)) == json.dumps(bare)


def stripped(value: Any) -> Any:
    if isinstance(value, list):
        return [stripped(each) for each in value]
    if isinstance(value, dict):
        return {key: stripped(each) for key, each in value.items() if key not in caching.FIELDS}
    return value


@pytest.mark.parametrize(("api", "alias", "stream"), COMBINATIONS)
def test_what_is_asked_again_is_read_and_the_saving_is_what_the_bill_lacks(
    quiet: Proxy, api: str, alias: str, stream: bool
) -> None:
    body = conversation(api, alias, f"again {api} {alias} {stream}. {SYSTEM}", stream=stream)
    rows = []
    for _ in range(3):
        answer = send(quiet, api, body)
        assert answer.status_code == 200, answer.text
        rows += quiet.attempts(answer.headers["x-fivelevers-request"])
    wrote, *read = rows
    assert by_kind(wrote)["cache_write_5m"] + by_kind(wrote)["cache_write_1h"] > 1024
    for row in read:
        assert by_kind(row)["cache_read"] > 1024
        assert row["cost_usd"] < row["list_cost_usd"]
    for row in rows:
        entry = quiet.billed(row)
        assert by_kind(row) == entry["tokens"]
        assert Decimal(row["cost_usd"]) / PICO == Decimal(entry["usd"])
        saved = quiet.query("select sum(usd) usd from saving where event_id = ?", row["event_id"])[0]["usd"]
        assert row["cost_without_us_usd"] - row["cost_usd"] == saved
    if alias == CLAUDE:  # without marks Anthropic caches nothing
        assert [row["cost_without_us_usd"] for row in rows] == [row["list_cost_usd"] for row in rows]


def test_the_first_marks_are_explained(quiet: Proxy) -> None:
    answer, (body,) = told(quiet, "messages", CLAUDE, "explained")
    assert len(answer.headers[SAID].split(", ")) == len(marks(body))
    assert "=5m;" in answer.headers[SAID] or "=1h;" in answer.headers[SAID]


def test_a_short_prompt_is_left_alone(quiet: Proxy) -> None:
    body = {"model": CLAUDE, "max_tokens": 50, "messages": [{"role": "user", "content": "What is 2 + 2, in short?"}]}
    answer = send(quiet, "messages", body)
    assert answer.headers[SAID].startswith("none")
    (sent,) = upstream(quiet, "in short?")
    assert not marks(sent)


def test_the_client_s_own_marks_stay(quiet: Proxy) -> None:
    body = conversation("messages", CLAUDE, "", stream=False)
    hour = {"type": "ephemeral", "ttl": "1h"}
    body["system"] = [{"type": "text", "text": f"own marks. {SYSTEM}", "cache_control": hour}]
    body["tools"][0]["cache_control"] = hour
    assert send(quiet, "messages", body).status_code == 200
    (sent,) = upstream(quiet, "own marks. You look")
    assert sent["system"][0]["cache_control"] == sent["tools"][0]["cache_control"] == hour
    assert len(marks(sent)) <= 4


@pytest.mark.parametrize("api", APIS)
def test_openai_gets_a_key_for_what_requests_share(quiet: Proxy, api: str) -> None:
    keys = set()
    for name in (f"first {api}", f"first {api}", f"second {api}"):
        _, bodies = told(quiet, api, AUTOMATIC, name)
        keys.add(bodies[-1]["prompt_cache_key"])
        assert not marks(bodies)
    assert len(keys) == 2
    body = {**conversation("chat", AUTOMATIC, f"own key. {SYSTEM}", stream=False), "prompt_cache_key": "mine"}
    assert send(quiet, "chat", body).status_code == 200
    assert upstream(quiet, "own key. You look")[0]["prompt_cache_key"] == "mine"


@pytest.mark.parametrize("api", APIS)
def test_an_endpoint_that_is_not_openai_s_gets_nothing(quiet: Proxy, api: str) -> None:
    answer, (body,) = told(quiet, api, ELSEWHERE, f"elsewhere {api}")
    assert answer.headers[SAID] == "not-understood"
    assert not marks(body)
    assert not caching.FIELDS & set(body)


def test_in_shadow_nothing_changes_and_the_decision_is_told(quiet: Proxy) -> None:
    answer, (body,) = told(quiet, "messages", SHADOW, "shadow")
    assert answer.headers[SAID].startswith("shadow ")
    assert not marks(body)
    (row,) = quiet.attempts(answer.headers["x-fivelevers-request"])
    assert row["cost_without_us_usd"] == row["cost_usd"]


@pytest.mark.parametrize("api", APIS)
def test_a_refusal_of_marks_is_tried_again_without_them(quiet: Proxy, api: str) -> None:
    name = f"refused {api}"
    quiet.fault(fault="400", match={"contains": '"cache_control"'})
    answer, bodies = told(quiet, api, f"refused-{api}", name)
    assert [bool(marks(body)) for body in bodies] == [True, False]
    failed, answered = quiet.attempts(answer.headers["x-fivelevers-request"], 2)
    assert (failed["error"], answered["success"]) == ("BadRequestError", True)
    assert "refused by a fault rule" in next(
        line for line in quiet.log().splitlines() if "gets none for an hour" in line and REFUSED[api] in line
    )


REFUSED = {"chat": "claude-opus-4-5", "messages": "claude-opus-4-6", "responses": "claude-sonnet-4-6"}


def test_a_client_s_own_400_blames_no_marks(quiet: Proxy) -> None:
    body = {**conversation("messages", CLAUDE, f"own fault. {SYSTEM}", stream=False), "temperature": 7}
    assert send(quiet, "messages", body).status_code == 400
    answer, _ = told(quiet, "messages", CLAUDE, "after the fault")
    assert answer.headers[SAID] not in ("quarantined", "none")


@pytest.fixture
def paused_redis(quiet: Proxy) -> Iterator[Proxy]:
    pid = quiet.stack.pids["redis"]
    os.kill(pid, signal.SIGSTOP)
    yield quiet
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: told(quiet, "messages", CLAUDE, f"back {time.time()}")[0].headers[SAID], lambda s: s != "redis")


def test_without_redis_requests_pass_unmarked(paused_redis: Proxy) -> None:
    before = paused_redis.metric("fivelevers_bypass_total", lever="prompt_cache", reason="redis")
    answer, (body,) = told(paused_redis, "messages", CLAUDE, "no redis")
    assert answer.headers[SAID] == "redis"
    assert not marks(body)
    assert paused_redis.metric("fivelevers_bypass_total", lever="prompt_cache", reason="redis") > before


MANY = int(os.environ.get("FIVELEVERS_FUZZ", "0"))


@settings(
    max_examples=MANY or 60,
    derandomize=not MANY,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ask=ASKS.filter(lambda ask: ask.api != "embeddings"))
def test_no_random_request_gets_marks_that_the_provider_refuses(quiet: Proxy, ask: Ask) -> None:
    """Each with a long system prompt, so that there is something to mark; the same without us is answered alike."""
    alias = {"support-assistant": GPT, "ticket-pipeline": GPT}.get(str(ask.body.get("model")), CLAUDE)
    body = {**ask.body, "model": alias, **long_system(ask)}
    headers = {"authorization": f"Bearer {ACME}", "content-type": "application/json"}
    content = json.dumps(body).encode()
    ours = quiet.http.post(ask.path, content=content, headers=headers)
    bare = quiet.http.post(ask.path, content=content, headers={**headers, "x-fivelevers-skip": "all"})
    assert ours.status_code == bare.status_code, ours.text


def long_system(ask: Ask) -> dict[str, Any]:
    if ask.api == "messages":
        return {"system": SYSTEM}
    if ask.api == "responses":
        return {"instructions": SYSTEM}
    messages = ask.body.get("messages")
    return {"messages": [{"role": "system", "content": SYSTEM}, *(messages if isinstance(messages, list) else [])]}
