"""Anthropic Messages and count_tokens, as the official SDK reads them."""

from typing import Any

import anthropic
import pytest

from examples.provider_simulator.tokens import count_tokens
from tests.simulator.conftest import Running

MODEL = "claude-sonnet-4-6"
ASK: list[Any] = [{"role": "user", "content": "What is 6 * 7?"}]
EDIT: Any = {
    "name": "read_file",
    "description": "Read a file",
    "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_answer_usage_and_identity(claude: anthropic.Anthropic, simulator: Running) -> None:
    raw = claude.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=ASK)
    answer = raw.parse()
    assert "42" in text_of(answer)
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == count_tokens(text_of(answer))
    assert answer.usage.cache_creation is not None
    (entry,) = simulator.sim.bill.entries
    assert (entry.id, entry.request_id) == (answer.id, raw.headers["request-id"])


def test_event_sequence(claude: anthropic.Anthropic, simulator: Running) -> None:
    with claude.messages.stream(model=MODEL, max_tokens=100, messages=ASK) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_message()
    order = [kind for kind in dict.fromkeys(events) if kind != "text"]
    assert order == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert "42" in text_of(final)
    assert simulator.sim.bill.entries[0].usage.output == final.usage.output_tokens
    assert simulator.sim.bill.entries[0].usage.input == final.usage.input_tokens


def test_free_and_forced_tools(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 200, "tools": [EDIT]}
    free = claude.messages.create(**asked, messages=[{"role": "user", "content": "Please read src/app.py first"}])
    assert free.stop_reason == "tool_use"
    assert [block.input for block in free.content if block.type == "tool_use"] == [{"path": "src/app.py"}]
    with claude.messages.stream(
        **asked, messages=[{"role": "user", "content": "Path: a.py"}], tool_choice={"type": "any"}
    ) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [{"path": "a.py"}]


def test_after_a_tool_result_comes_text(claude: anthropic.Anthropic) -> None:
    turns: list[Any] = [
        {"role": "user", "content": "Read app.py"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "a"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x = 1"}]},
    ]
    answer = claude.messages.create(model=MODEL, max_tokens=300, tools=[EDIT], messages=turns)
    assert answer.stop_reason == "end_turn"
    assert text_of(answer)


def test_an_unanswered_tool_call_is_refused(claude: anthropic.Anthropic) -> None:
    turns: list[Any] = [
        {"role": "user", "content": "Read app.py"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "read_file", "input": {}}]},
        {"role": "user", "content": "and?"},
    ]
    with pytest.raises(anthropic.BadRequestError, match="t1"):
        claude.messages.create(model=MODEL, max_tokens=300, tools=[EDIT], messages=turns)


def test_count_tokens_is_what_the_answer_is_billed_for(claude: anthropic.Anthropic) -> None:
    prompt: dict[str, Any] = {
        "model": MODEL,
        "system": [{"type": "text", "text": "You are terse."}],
        "tools": [EDIT],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]}],
    }
    counted = claude.messages.count_tokens(**prompt).input_tokens
    assert claude.messages.create(max_tokens=50, **prompt).usage.input_tokens == counted


def test_counting_is_not_billed(claude: anthropic.Anthropic, simulator: Running) -> None:
    claude.messages.count_tokens(model=MODEL, messages=ASK)
    assert simulator.bill()["requests"] == 0


def test_filling_the_cache_without_an_answer(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model=MODEL, max_tokens=0, messages=ASK)
    assert (answer.usage.output_tokens, answer.stop_reason) == (0, "max_tokens")
