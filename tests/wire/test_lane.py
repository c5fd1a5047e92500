"""The batch lane in the real proxy: what waits is answered at the batch price, and each request is asked once."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import anthropic
import httpx
import openai
import pytest

from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches
from tests.wire.batching import CLAUDE, EMBEDDING, KEYED, MINI, PIPELINE, SHADOW, STORED, takes
from tests.wire.proxy import ACME, GLOBEX, Proxy, wait_for

LANE = "/fivelevers/lane"
CHAT, MESSAGES, RESPONSES, EMBEDDINGS = (
    "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings",
)  # fmt: skip
TEAM_MATE, NARROW = "sk-test-team-6d7e8f9a0b", "sk-test-narrow-4e5f6a7b8c"
ASYNC = {"prefer": "respond-async"}


@pytest.fixture
def lane(quiet: Proxy) -> Iterator[Proxy]:
    """Batches are done at once."""
    takes(quiet, 0)
    yield quiet
    httpx.delete(f"{quiet.stack.simulator_url}/sim/batches")


def post(proxy: Proxy, path: str, body: Mapping[str, Any], key: str = ACME, **headers: str) -> httpx.Response:
    """To the lane in the proxy, as Envoy re-routes it."""
    url = f"{proxy.stack.litellm_url}{LANE}{path}"
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=60)


def get(proxy: Proxy, path: str, key: str = ACME) -> httpx.Response:
    return httpx.get(f"{proxy.stack.litellm_url}{path}", headers={"authorization": f"Bearer {key}"}, timeout=60)


def result(proxy: Proxy, accepted: httpx.Response) -> httpx.Response:
    place = accepted.headers["location"]
    return wait_for(lambda: get(proxy, f"{place}/result"), lambda reply: reply.status_code != 202)


def state(proxy: Proxy, place: str) -> str:
    found: str = get(proxy, place).json()["status"]
    return found


def chat(model: str, prompt: str | None = None, **params: Any) -> dict[str, Any]:
    text = prompt or f"What is 2 + 3? {uuid.uuid4()}"
    return {"model": model, "messages": [{"role": "user", "content": text}], **params}


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        (CHAT, chat(MINI), "gpt-4.1-mini"),
        (RESPONSES, {"model": MINI, "input": "What is 7 + 4?"}, "gpt-4.1-mini"),
        (MESSAGES, chat(CLAUDE, max_tokens=100), "claude-haiku-4-5"),
        (EMBEDDINGS, {"model": EMBEDDING, "input": ["one", "two"]}, "text-embedding-3-small"),
        (EMBEDDINGS, {"model": EMBEDDING, "input": "one"}, "text-embedding-3-small"),
    ],
)
def test_each_api_is_answered_in_its_own_shape_at_the_batch_price(
    lane: Proxy, path: str, body: dict[str, Any], model: str
) -> None:
    before = len(lane.bill_entries())
    accepted = post(lane, path, body, **ASYNC)
    assert (accepted.status_code, accepted.headers["x-fivelevers-lane"]) == (202, "batch")
    answer = result(lane, accepted)
    assert answer.status_code == 200
    assert "usage" in answer.json()
    (row,) = lane.attempts(accepted.headers["x-fivelevers-request"])
    assert (row["model"], row["success"], row["usage_source"]) == (model, 1, "reported")
    assert row["cost_usd"] * 2 == row["cost_without_us_usd"]
    (saving,) = lane.query("select * from saving where event_id = ?", row["event_id"])
    assert (saving["lever"], saving["basis"]) == ("batch", "observed")
    entries = lane.bill_entries()[before:]
    assert [entry["batch"] is not None for entry in entries] == [True]  # once, and in a batch
    assert lane.billed(row) == entries[0]


def test_an_unmodified_sdk_that_waits_long_gets_a_plain_answer(lane: Proxy) -> None:
    url = f"{lane.stack.litellm_url}{LANE}/v1"
    with openai.OpenAI(base_url=url, api_key=ACME, timeout=4 * 3600, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(**chat(PIPELINE, "What is 4 + 5?"))
    assert raw.headers["x-fivelevers-lane"] == "batch"
    assert "9" in (raw.parse().choices[0].message.content or "")
    url = f"{lane.stack.litellm_url}{LANE}"
    deadline = {"x-fivelevers-deadline": "2h"}
    with anthropic.Anthropic(base_url=url, api_key=ACME, timeout=4 * 3600, max_retries=0) as claude:
        body = chat(CLAUDE, "What is 4 + 5?", max_tokens=100)
        answer = claude.messages.with_raw_response.create(**body, extra_headers=deadline)
    assert answer.headers["x-fivelevers-lane"] == "batch"
    assert "9" in str(answer.parse().content)


def test_responses_in_the_background_are_polled_by_the_unmodified_sdk_through_envoy(lane: Proxy) -> None:
    with openai.OpenAI(base_url=f"{lane.stack.litellm_url}{LANE}/v1", api_key=ACME) as client:
        begun = client.responses.create(model=MINI, input="What is 6 + 5?", background=True)
    assert (begun.status, begun.background) == ("queued", True)
    with openai.OpenAI(base_url=f"{lane.stack.envoy_url}/v1", api_key=ACME) as client:
        done = wait_for(lambda: client.responses.retrieve(begun.id), lambda one: one.status == "completed")
        assert (done.id, "11" in done.output_text) == (begun.id, True)
    with (
        openai.OpenAI(base_url=f"{lane.stack.envoy_url}/v1", api_key=GLOBEX) as other,
        pytest.raises(openai.NotFoundError),
    ):
        other.responses.retrieve(begun.id)


@pytest.mark.parametrize(
    ("path", "body", "headers", "why"),
    [
        (CHAT, chat(MINI), {}, "not-asked"),
        (CHAT, chat(MINI), {"x-fivelevers-deadline": "60"}, "deadline-too-short"),
        (CHAT, chat(PIPELINE), {"x-stainless-read-timeout": "600"}, "caller-waits"),
        (CHAT, chat(MINI, stream=True), ASYNC, "stream"),
        (CHAT, chat(MINI), {**ASYNC, "x-fivelevers-skip": "batch"}, "skipped"),
        (CHAT, chat(SHADOW), ASYNC, "shadow"),
        (CHAT, chat(CLAUDE, max_tokens=100), ASYNC, "other-shape"),
        (CHAT, chat("ticket-pipeline"), ASYNC, "off"),
        (CHAT, chat(MINI, mock_response="hi"), ASYNC, "field-mock_response"),
        (RESPONSES, {"model": MINI, "input": "hi", "conversation": "conv_0"}, ASYNC, "field-conversation"),
    ],
)  # fmt: skip
def test_what_may_not_wait_is_answered_live_and_told_why(
    lane: Proxy, path: str, body: dict[str, Any], headers: dict[str, str], why: str
) -> None:
    reply = post(lane, path, body, **headers)
    assert reply.headers["x-fivelevers-lane"] == f"live; why={why}"
    assert reply.status_code == 200 or "field" in why
    assert "location" not in reply.headers


def test_what_the_host_refuses_is_refused_in_its_own_words_and_not_accepted(lane: Proxy) -> None:
    accepted = lane.metric("fivelevers_lane_requests_total", result="accepted")
    for key, body in (("sk-nobody", chat(MINI)), (NARROW, chat(MINI)), (ACME, {"model": MINI})):
        there = post(lane, CHAT, body, key, **ASYNC)
        headers = {"authorization": f"Bearer {key}"}
        live = httpx.post(f"{lane.stack.litellm_url}{CHAT}", json=body, headers=headers, timeout=60)
        assert there.status_code == live.status_code
        assert there.status_code >= 400
        assert there.json()["error"].keys() == live.json()["error"].keys()
    assert lane.metric("fivelevers_lane_requests_total", result="accepted") == accepted
    assert (
        get(lane, "/fivelevers/v1/requests", NARROW).json()["data"]
        == get(lane, "/fivelevers/v1/requests").json()["data"]
    )


def test_a_team_sees_its_requests_and_a_key_keeps_its_own_where_the_route_says_so(lane: Proxy) -> None:
    shared, own = post(lane, CHAT, chat(MINI), **ASYNC), post(lane, CHAT, chat(KEYED), **ASYNC)
    assert get(lane, shared.headers["location"], TEAM_MATE).status_code == 200
    assert get(lane, shared.headers["location"], GLOBEX).status_code == 404
    assert get(lane, own.headers["location"]).status_code == 200
    assert get(lane, own.headers["location"], TEAM_MATE).status_code == 404
    assert get(lane, own.headers["location"], "sk-nobody").status_code == 401


def test_the_answer_store_is_asked_first_and_learns_what_a_batch_answered(lane: Proxy) -> None:
    body = chat(STORED, temperature=0)
    first = post(lane, CHAT, body, **ASYNC)
    assert result(lane, first).status_code == 200
    again = wait_for(
        lambda: post(lane, CHAT, body, **ASYNC), lambda reply: reply.headers["x-fivelevers-lane"] != "batch", 20
    )
    assert (again.status_code, again.headers["x-fivelevers-lane"]) == (200, "live; why=answer-store")
    assert again.headers["x-fivelevers-semantic-cache"].startswith("hit")
    said = result(lane, first).json()["choices"][0]["message"]["content"]
    assert again.json()["choices"][0]["message"]["content"] == said


def test_an_outcome_joins_by_the_id_that_came_with_the_answer(lane: Proxy) -> None:
    accepted = post(lane, CHAT, chat(MINI), **ASYNC)
    assert result(lane, accepted).status_code == 200
    request_id = accepted.headers["x-fivelevers-request"]
    said = {"request_id": request_id, "outcome": "success"}
    url = f"{lane.stack.litellm_url}/fivelevers/v1/outcomes"
    httpx.post(url, json=said, headers={"authorization": f"Bearer {ACME}"}).raise_for_status()
    assert [row["outcome"] for row in lane.outcomes(request_id)] == ["success"]


def test_a_rescue_is_asked_in_its_callers_name_and_its_late_row_is_charged_to_the_lever(
    lane: Proxy,
) -> None:
    takes(lane, 6)
    first, second = post(lane, CHAT, chat(MINI), **ASYNC), post(lane, CHAT, chat(MINI), **ASYNC)
    request_id = first.headers["x-fivelevers-request"]
    for place in (first.headers["location"], second.headers["location"]):
        wait_for(partial(state, lane, place), lambda status: status == "submitted")

    async def ask_live() -> int:
        store = Lane(lane.stack.lane_redis_url)
        try:
            return await Batches(store).ask_live([request_id])
        finally:
            await store.close()

    time.sleep(2)  # until the provider has the batch
    assert asyncio.run(ask_live()) == 1
    answer = result(lane, first)
    assert (answer.status_code, answer.headers["x-fivelevers-lane"]) == (200, "batch; why=rescued")
    live, late = lane.attempts(request_id, 2)
    assert (live["charged_to"], late["charged_to"]) == (None, "batch")
    assert (live["key_alias"], live["route"], live["cost_usd"]) == ("acme", "batch", live["cost_without_us_usd"])
    assert late["cost_without_us_usd"] == 0
    assert lane.billed(live).get("batch") is None
    assert lane.billed(late)["batch"] is not None


def test_a_cancelled_request_is_not_sent(lane: Proxy) -> None:
    text = f"cancelled {uuid.uuid4()}"
    accepted = post(lane, CHAT, chat(MINI, text), **ASYNC)
    place = f"{lane.stack.litellm_url}{accepted.headers['location']}"
    reply = httpx.post(f"{place}/cancel", headers={"authorization": f"Bearer {ACME}"})
    assert reply.json()["status"] in ("cancelled", "done")


def test_health_and_metrics_tell_of_the_lane(lane: Proxy) -> None:
    accepted = post(lane, CHAT, chat(MINI), **ASYNC)
    assert result(lane, accepted).status_code == 200
    assert lane.metric("fivelevers_lane_requests_total", result="accepted") > 0
    assert lane.metric("fivelevers_saved_usd_total", lever="batch") > 0
    assert lane.http.get("/fivelevers/v1/health").json()["lane"] == "up"
    assert "fivelevers_lane_queued" in lane.http.get("/fivelevers/v1/metrics").text
