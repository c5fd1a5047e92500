"""The official SDKs read every shape, streams through their own helpers too, and get the text and usage that were
stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.answer import StoredAnswer
from fivelevers.prices import Usage
from fivelevers.proxies.litellm import answer_shapes
from fivelevers.proxies.litellm.answer_shapes import Rendering, deltas

TEXT = "The Pro plan costs 49 € a month.\n\n- billed yearly\n- cancelled any time 🙂"
USAGE = Usage(input=40, cache_read=1024, cache_write_5m=12, cache_write_1h=3, output=17)
TEXTS = st.text(min_size=1).filter(str.strip)


def rendering(text: str = TEXT, **request: Any) -> Rendering:
    answer = StoredAnswer(text, "gpt-4.1", "openai", "d1", USAGE, created_at=1.0, expires_at=2.0)
    return Rendering(answer, created=1_800_000_000, request=request)


def framed(events: Iterable[dict[str, Any]]) -> str:
    """Server-sent events as the proxy writes those of OpenAI's APIs."""
    return "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events) + "data: [DONE]\n\n"


def served(body: dict[str, Any] | str) -> dict[str, Any]:
    """The parts of an HTTP response with this body."""
    kind = "text/event-stream" if isinstance(body, str) else "application/json"
    return {"content": body if isinstance(body, str) else orjson.dumps(body), "headers": {"content-type": kind}}


def open_ai(body: dict[str, Any] | str) -> openai.OpenAI:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **served(body)))
    return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=httpx.Client(transport=transport))


def claude(body: dict[str, Any] | str) -> anthropic.Anthropic:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, **served(body)))
    return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=httpx2.Client(transport=transport))


ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "?"}]}


def test_chat() -> None:
    got = open_ai(answer_shapes.chat_completion(rendering())).chat.completions.create(**ASK)
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == (TEXT, "stop")
    assert got.usage is not None
    assert got.usage.prompt_tokens_details is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (1079, 17, 1096)
    assert got.usage.prompt_tokens_details.cached_tokens == 1024
    assert type(got).model_validate(got.model_dump()) == got


def test_chat_streamed() -> None:
    body = framed(answer_shapes.chat_chunks(rendering()))
    with open_ai(body).chat.completions.stream(**ASK) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        got = stream.get_final_completion()
    assert len(pieces) > 1
    assert "".join(pieces) == got.choices[0].message.content == TEXT
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (1079, 17)


def test_message() -> None:
    got = claude(answer_shapes.message(rendering())).messages.create(**ASK, max_tokens=99)
    assert [block.text for block in got.content if block.type == "text"] == [TEXT]
    assert got.stop_reason == "end_turn"
    check(got.usage)
    assert type(got).model_validate(got.model_dump()) == got


def test_message_streamed() -> None:
    body = "".join(answer_shapes.message_events(rendering()))
    with claude(body).messages.stream(**ASK, max_tokens=99) as stream:
        events = list(stream)
        got = stream.get_final_message()
    pieces = [event.text for event in events if event.type == "text"]
    assert len(pieces) > 1
    assert "".join(pieces) == TEXT
    assert [block.text for block in got.content if block.type == "text"] == [TEXT]
    assert got.stop_reason == "end_turn"
    check(got.usage)
    kinds = re.findall("^event: (.*)$", body, re.MULTILINE)
    assert list(dict.fromkeys(kinds)) == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip


def check(usage: anthropic.types.Usage) -> None:
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (40, 17, 1024)
    assert usage.cache_creation_input_tokens == 15


def test_response() -> None:
    got = open_ai(answer_shapes.response(rendering(instructions="Be short.", temperature=0.5))).responses.create(
        model="m", input="?"
    )
    assert (got.output_text, got.status, got.instructions, got.temperature) == (TEXT, "completed", "Be short.", 0.5)
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.total_tokens) == (1079, 17, 1096)
    assert got.usage.input_tokens_details.cached_tokens == 1024
    assert type(got).model_validate(got.model_dump()) == got


def test_response_streamed() -> None:
    with open_ai(framed(answer_shapes.response_events(rendering()))).responses.stream(model="m", input="?") as stream:
        events = list(stream)
        got = stream.get_final_response()
    deltas_of = [event for event in events if event.type == "response.output_text.delta"]
    assert len(deltas_of) > 1
    assert "".join(event.delta for event in deltas_of) == got.output_text == TEXT
    assert deltas_of[-1].snapshot == TEXT  # the helper's own sum of what it was sent
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert list(dict.fromkeys(event.type for event in events)) == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert got.usage is not None
    assert got.usage.output_tokens == 17


@pytest.mark.parametrize("shape", [answer_shapes.chat_completion, answer_shapes.message, answer_shapes.response])
def test_each_time_it_is_a_new_answer(shape: Any) -> None:
    first, second = shape(rendering()), shape(rendering())
    assert first["id"] != second["id"]
    assert first["model"] == "gpt-4.1"


@given(TEXTS)
def test_pieces_make_the_text_and_are_two_or_more(text: str) -> None:
    pieces = list(deltas(text))
    assert "".join(pieces) == text
    assert all(pieces)
    assert len(pieces) > 1 or len(text) == 1


@given(st.integers(1, 5000))
def test_a_long_text_comes_in_few_pieces(words: int) -> None:
    assert len(list(deltas("word " * words))) <= 2 * 32


@given(TEXTS)
def test_a_stream_says_what_the_whole_answer_says(text: str) -> None:
    of = rendering(text)
    chat = [chunk["choices"][0]["delta"].get("content", "") for chunk in answer_shapes.chat_chunks(of)]
    events = list(answer_shapes.response_events(of))
    said = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    framed_deltas = re.findall(r"^data: (.*text_delta.*)$", "".join(answer_shapes.message_events(of)), re.MULTILINE)
    messages = "".join(orjson.loads(line)["delta"]["text"] for line in framed_deltas)
    assert "".join(chat) == said == messages == text
