"""Chat completions, as the official SDK reads them."""

from typing import Any

import openai
import pytest

from examples.provider_simulator.tokens import count_tokens
from tests.simulator.conftest import Running

ASK: list[Any] = [{"role": "user", "content": "What is 17 * 23 + 4?"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_answer_usage_and_identity(oai: openai.OpenAI, simulator: Running) -> None:
    raw = oai.chat.completions.with_raw_response.create(model="gpt-5", messages=ASK)
    answer = raw.parse()
    assert "395" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-5-2025-08-07"
    usage = answer.usage
    assert usage is not None
    assert usage.completion_tokens == count_tokens(answer.choices[0].message.content or "")
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    (entry,) = simulator.sim.bill.entries
    assert (entry.id, entry.request_id) == (answer.id, raw.headers["x-request-id"])
    assert (entry.usage.all_input, entry.usage.output) == (usage.prompt_tokens, usage.completion_tokens)
    assert entry.usage_reported


def test_stream_tells_usage_only_when_asked(oai: openai.OpenAI, simulator: Running) -> None:
    plain = list(oai.chat.completions.create(model="gpt-5", messages=ASK, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in plain)
    asked = list(
        oai.chat.completions.create(model="gpt-5", messages=ASK, stream=True, stream_options={"include_usage": True})
    )
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    text = "".join(chunk.choices[0].delta.content or "" for chunk in asked[:-1])
    assert asked[-1].usage.completion_tokens == count_tokens(text)
    assert [entry.usage_reported for entry in simulator.sim.bill.entries] == [False, True]


def test_forced_tool_call_whole_and_streamed(oai: openai.OpenAI) -> None:
    body: dict[str, Any] = {
        "model": "gpt-5",
        "messages": [{"role": "user", "content": "City: Lisbon\nTell me the weather."}],
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    }
    whole = oai.chat.completions.create(**body)
    (call,) = whole.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Lisbon"}')
    assert whole.choices[0].finish_reason == "tool_calls"
    with oai.chat.completions.stream(**body) as stream:
        final = stream.get_final_completion()
    streamed = (final.choices[0].message.tool_calls or [])[0]
    assert (streamed.function.name, streamed.function.arguments) == ("get_weather", '{"city":"Lisbon"}')


def test_json_schema_answer(oai: openai.OpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"order_number": {"type": "string"}, "total": {"type": "number"}}}
    answer = oai.chat.completions.create(
        model="gpt-5",
        messages=[{"role": "user", "content": "Order number: A-17\nTotal: $1,249.50"}],
        response_format={"type": "json_schema", "json_schema": {"name": "order", "schema": schema}},
    )
    assert answer.choices[0].message.content == '{"order_number":"A-17","total":1249.5}'


def test_several_choices_are_all_billed(oai: openai.OpenAI, simulator: Running) -> None:
    answer = oai.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello"}], n=3)
    texts = [choice.message.content or "" for choice in answer.choices]
    assert len(texts) == 3
    assert simulator.sim.bill.entries[0].usage.output == sum(map(count_tokens, texts))


def test_limits_and_stop_words(oai: openai.OpenAI) -> None:
    hello: list[Any] = [{"role": "user", "content": "Hello there"}]
    short = oai.chat.completions.create(model="gpt-5", messages=hello, max_completion_tokens=4)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 4
    stopped = oai.chat.completions.create(model="gpt-5", messages=hello, stop=[" "])
    assert " " not in (stopped.choices[0].message.content or "")


@pytest.mark.parametrize(("part", "tokens"), [("image_url", 1000), ("input_audio", 500), ("file", 1500)])
def test_media_count_as_a_fixed_number(oai: openai.OpenAI, part: str, tokens: int) -> None:
    content = {"image_url": {"url": "x"}, "input_audio": {"data": "x", "format": "wav"}, "file": {"file_id": "x"}}
    messages: list[Any] = [{"role": "user", "content": [{"type": part, part: content[part]}]}]
    answer = oai.chat.completions.create(model="gpt-4o", messages=messages)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == tokens + 3
