"""A stored answer through the real proxy: in each API's own shape, streamed or not, at no cost and with no call."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.wire.proxy import ACME, CLAUDE, GPT, PATHS, Proxy, together, wait_for

APIS = ("chat", "messages", "responses")
COMBINATIONS = [(api, alias, stream) for api in APIS for alias in (GPT, CLAUDE) for stream in (False, True)]
TEXT = "The Pro plan costs 49 euros a month; parcels arrive on Tuesday, most of the time.\n\nAsk again, 🙂."
PROVIDERS_OWN = ("system_fingerprint", "service_tier", "background", "provider_specific_fields", "reasoning")
QUESTION = "How much does the Pro plan cost?"


@dataclass
class Planting:
    """Requests to a proxy in which answers are planted, and what its hooks wrote down of each."""

    proxy: Proxy
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, api: str, alias: str, *, stream: bool = False, **fields: Any) -> httpx.Response:
        return self.proxy.http.post(PATHS[api], **self.request(api, alias, stream=stream, **fields))

    def request(self, api: str, alias: str, *, stream: bool, **fields: Any) -> dict[str, Any]:
        """Body and headers, as httpx takes them."""
        asked: dict[str, Any] = {"input": QUESTION}
        if api != "responses":
            asked = {"messages": [{"role": "user", "content": QUESTION}]}
        if api == "messages":
            asked["max_tokens"] = 300
        headers = {"authorization": f"Bearer {ACME}", **self.headers}
        return {"json": {"model": alias, "stream": stream, **asked, **fields}, "headers": headers}

    def notes(self, hook: str, count: int = 1) -> list[dict[str, Any]]:
        """What was written down of this request's hooks of one kind, once there are so many."""
        case = self.headers["x-test-case"]

        def read() -> list[dict[str, Any]]:
            notes = [json.loads(line) for line in self.log.read_text().splitlines()]
            return [note for note in notes if (note["case"], note["hook"]) == (case, hook)]

        return wait_for(read, lambda found: len(found) >= count)


Plant = Callable[..., Planting]


@pytest.fixture
def plant(quiet: Proxy, planting_log: Path) -> Plant:
    """`plant()`: a request that nothing is planted for; `plant(TEXT)`: with an answer; more headers by keyword."""

    def make(text: str | None = None, **more: str) -> Planting:
        headers = {"x-test-case": uuid.uuid4().hex, **{f"x-test-{name}": value for name, value in more.items()}}
        if text is not None:
            headers["x-test-plant"] = json.dumps(text)
        return Planting(quiet, planting_log, headers)

    return make


def said(api: str, body: str, *, stream: bool) -> str:
    """The text of an answer, read from what went over the wire."""
    if not stream:
        answer = json.loads(body)
        texts = {
            "chat": lambda: answer["choices"][0]["message"]["content"],
            "messages": lambda: answer["content"][0]["text"],
            "responses": lambda: answer["output"][0]["content"][0]["text"],
        }
        return str(texts[api]())
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    if api == "chat":
        return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    if api == "messages":
        return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


@pytest.mark.parametrize(("api", "alias", "stream"), COMBINATIONS)
def test_a_hit_calls_nobody_costs_nothing_and_says_what_was_stored(
    plant: Plant, api: str, alias: str, stream: bool
) -> None:
    planting = plant(TEXT)
    before = len(planting.proxy.bill_entries())
    replies = [planting.ask(api, alias, stream=stream).raise_for_status() for _ in range(2)]
    assert [said(api, reply.text, stream=stream) for reply in replies] == [TEXT, TEXT]
    assert len(planting.proxy.bill_entries()) == before
    for reply in replies:
        prices = {name: value for name, value in reply.headers.items() if name.startswith("x-litellm-response-cost")}
        assert {float(price) for price in prices.values()} == {0.0}
        assert "x-litellm-response-cost" in prices
    logged = planting.notes("log_success", 2)
    assert [(note["cache_hit"], note["response_cost"], note.get("why")) for note in logged] == [(True, 0.0, "hit")] * 2
    assert [(note["prompt_tokens"], note["completion_tokens"]) for note in logged] == [(1076, 17)] * 2
    assert [bool(note["stream"]) for note in logged] == [stream] * 2
    assert len(planting.notes("pre_call_deployment", 2)) == 2  # each the outermost call, and nothing under it
    assert not planting.notes("failure_deployment", 0)


@pytest.mark.parametrize(("api", "alias"), [(api, alias) for api in APIS for alias in (GPT, CLAUDE)])
def test_a_hit_looks_like_a_miss(plant: Plant, api: str, alias: str) -> None:
    miss, hit = (json.loads(planting.ask(api, alias).raise_for_status().text) for planting in (plant(), plant(TEXT)))
    assert hit["model"] == miss["model"] == alias
    assert hit["id"] != miss["id"]
    kinds = [{name: type(value) for name, value in answer.items() if value is not None} for answer in (miss, hit)]
    assert {name: kind for name, kind in kinds[0].items() if name not in PROVIDERS_OWN}.items() <= kinds[1].items()


def test_a_response_repeats_what_the_client_asked_for(plant: Plant) -> None:
    asked: dict[str, Any] = {
        "instructions": "Be short.",
        "metadata": {"order": "4711"},
        "temperature": 0.5,
        "max_output_tokens": 90,
    }
    answer = plant(TEXT).ask("responses", GPT, **asked).raise_for_status().json()
    assert {name: answer[name] for name in asked} == asked


def test_the_sdks_helpers_for_streams_read_a_hit(plant: Plant) -> None:
    planting = plant(TEXT)
    url, headers = planting.proxy.stack.envoy_url, planting.headers
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=ACME, default_headers=headers) as client:
        with client.chat.completions.stream(model=GPT, messages=asked, stream_options={"include_usage": True}) as chat:
            pieces = [event.delta for event in chat if event.type == "content.delta"]
            whole = chat.get_final_completion()
        assert whole.usage is not None
        assert (whole.choices[0].message.content, "".join(pieces), whole.usage.prompt_tokens) == (TEXT, TEXT, 1076)
        assert len(pieces) > 1
        with client.responses.stream(model=CLAUDE, input=QUESTION) as stream:
            events = list(stream)
            response = stream.get_final_response()
        sent = [event for event in events if event.type == "response.output_text.delta"]
        assert response.usage is not None
        assert (response.output_text, sent[-1].snapshot, response.usage.input_tokens) == (TEXT, TEXT, 1076)
        assert [event.sequence_number for event in events] == list(range(len(events)))
    with (
        anthropic.Anthropic(base_url=url, api_key=ACME, default_headers=headers) as claude,
        claude.messages.stream(model=GPT, messages=asked, max_tokens=300) as messages,
    ):
        assert "".join(messages.text_stream) == TEXT
        message = messages.get_final_message()
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (
        40,
        1024,
        17,
    )


def test_only_who_asks_for_the_usage_of_a_stream_is_shown_it(plant: Plant) -> None:
    asked = plant(TEXT).ask("chat", GPT, stream=True, stream_options={"include_usage": True}).text
    usages = [json.loads(line[6:]).get("usage") for line in asked.splitlines() if line.startswith("data: {")]
    assert [usage["total_tokens"] for usage in usages if usage] == [1093]
    assert usages[-1]["cost"] == 0.0
    assert '"usage"' not in plant(TEXT).ask("chat", GPT, stream=True).text


@pytest.mark.parametrize(("api", "stream"), [(api, stream) for api in APIS for stream in (False, True)])
def test_the_host_s_output_guardrails_see_a_hit(plant: Plant, api: str, stream: bool) -> None:
    reply = plant(TEXT, mask="Tuesday").ask(api, GPT, stream=stream).raise_for_status()
    assert said(api, reply.text, stream=stream) == TEXT.replace("Tuesday", "*******")
    assert "Tuesday" not in reply.text


def test_a_guardrail_s_own_question_gets_its_own_answer(plant: Plant) -> None:
    planting = plant(TEXT, asks="What is 17 * 23 + 4?")
    before = len(planting.proxy.bill_entries())
    assert said("chat", planting.ask("chat", GPT).text, stream=False) == TEXT
    (asked,) = planting.notes("asked")
    assert "395" in asked["answer"]
    assert len(planting.proxy.bill_entries()) == before + 1


@pytest.mark.parametrize("api", APIS)
def test_who_wants_a_fresh_answer_gets_one(plant: Plant, api: str) -> None:
    planting = plant(TEXT)
    reply = planting.ask(api, GPT, cache={"no-cache": True}).raise_for_status()
    assert said(api, reply.text, stream=False) != TEXT
    (logged,) = planting.notes("log_success")
    assert not logged["cache_hit"]


@pytest.mark.parametrize("field", [None, "yes", [], {"ttl": "soon"}, {"namespace": 7}])
def test_an_odd_cache_field_breaks_no_hit(plant: Plant, field: Any) -> None:
    for api in APIS:
        assert said(api, plant(TEXT).ask(api, GPT, cache=field).raise_for_status().text, stream=False) == TEXT


@pytest.mark.parametrize(("api", "stream"), [(api, stream) for api in APIS for stream in (False, True)])
def test_an_answer_that_can_not_be_given_is_asked_for_upstream(plant: Plant, api: str, stream: bool) -> None:
    planting = plant(TEXT, broken="yes")
    before = len(planting.proxy.bill_entries())
    bypassed = partial(planting.proxy.metric, "fivelevers_bypass_total", lever="semantic_cache", reason="rendering")
    counted = bypassed()
    reply = planting.ask(api, GPT, stream=stream).raise_for_status()
    assert said(api, reply.text, stream=stream) not in ("", TEXT)
    assert len(planting.proxy.bill_entries()) == before + 1
    assert wait_for(bypassed, lambda n: n > counted) > counted


def test_what_the_log_tells_of_an_answer_is_all_of_it(plant: Plant) -> None:
    plantings = [plant() for _ in COMBINATIONS]
    replies = together(
        [
            partial(planting.ask, api, alias, stream=stream)
            for planting, (api, alias, stream) in zip(plantings, COMBINATIONS, strict=True)
        ]
    )
    for planting, (api, _, stream), reply in zip(plantings, COMBINATIONS, replies, strict=True):
        (logged,) = planting.notes("log_success")
        assert logged.get("text") == said(api, reply.raise_for_status().text, stream=stream), (api, logged)


CUT = {"chat": {"max_tokens": 3}, "messages": {"max_tokens": 3}, "responses": {"max_output_tokens": 3}}


def test_an_answer_that_was_cut_is_not_stored(plant: Plant) -> None:
    plantings = [plant() for _ in COMBINATIONS]
    together(
        [
            partial(planting.ask, api, alias, stream=stream, **CUT[api])
            for planting, (api, alias, stream) in zip(plantings, COMBINATIONS, strict=True)
        ]
    )
    for planting, combination in zip(plantings, COMBINATIONS, strict=True):
        (logged,) = planting.notes("log_success")
        assert logged.get("why") == "truncated", combination


def forced(api: str) -> dict[str, Any]:
    """Fields that have the answer be a call of a tool."""
    schema = {"type": "object", "properties": {"order_number": {"type": "string"}}, "required": ["order_number"]}
    if api == "messages":
        tool = {"name": "find", "input_schema": schema}
        return {"tools": [tool], "tool_choice": {"type": "tool", "name": "find"}}
    function = {"name": "find", "parameters": schema}
    if api == "responses":
        return {"tools": [{"type": "function", **function}], "tool_choice": {"type": "function", "name": "find"}}
    choice = {"type": "function", "function": {"name": "find"}}
    return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}


def test_a_tool_call_is_not_stored(plant: Plant) -> None:
    plantings = [plant() for _ in COMBINATIONS]
    together(
        [
            partial(planting.ask, api, alias, stream=stream, **forced(api))
            for planting, (api, alias, stream) in zip(plantings, COMBINATIONS, strict=True)
        ]
    )
    for planting, combination in zip(plantings, COMBINATIONS, strict=True):
        (logged,) = planting.notes("log_success")
        assert logged.get("why") == "tool_call", combination


@pytest.mark.parametrize("alias", [GPT, CLAUDE])
@pytest.mark.parametrize("api", APIS)
def test_a_stream_that_ended_without_usage_is_not_stored(plant: Plant, api: str, alias: str) -> None:
    planting = plant()
    planting.proxy.fault(fault="no_stream_usage", times=1)
    planting.ask(api, alias, stream=True).raise_for_status()
    (logged,) = planting.notes("log_success")
    assert logged.get("why") == "unreported"


def test_a_stream_that_broke_is_not_stored(plant: Plant) -> None:
    def broken(api: str, alias: str) -> list[dict[str, Any]]:
        planting = plant()
        asked = planting.proxy.http.stream("POST", PATHS[api], **planting.request(api, alias, stream=True))
        with contextlib.suppress(httpx.HTTPError), asked as reply:
            reply.read()
        assert planting.proxy.attempts(reply.headers["x-fivelevers-request"])  # what will be told is told by now
        return planting.notes("log_success", 0)

    plant().proxy.fault(fault="cut_stream", after_chunks=2)
    for notes in together([partial(broken, api, alias) for api in APIS for alias in (GPT, CLAUDE)]):
        assert not [note for note in notes if "text" in note]
