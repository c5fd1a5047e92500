"""What a logged response says, and whether it may be given again."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.audit.answers import Said, cut_off, cut_off_in_stream, said_in, said_in_stream


def chat(reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": reason}]}


def messages(*blocks: dict[str, Any], reason: str = "end_turn") -> dict[str, Any]:
    return {"content": [*blocks], "stop_reason": reason}


TEXT = {"type": "text", "text": "At ten."}
OUTPUT = {"type": "message", "content": [{"type": "output_text", "text": "At ten."}]}


@pytest.mark.parametrize(
    "response",
    [
        chat(content="At ten."),
        chat(content=[TEXT]),
        messages(TEXT),
        messages(TEXT, reason="stop_sequence"),
        {"output": [{"type": "reasoning"}, OUTPUT], "status": "completed"},
    ],
)
def test_a_whole_text(response: dict[str, Any]) -> None:
    assert said_in(response) == Said(True, "At ten.")


@pytest.mark.parametrize(
    "response",
    [
        chat("length", content="At"),
        chat("tool_calls", content=None, tool_calls=[{"id": "1"}]),
        chat(content="At ten.", tool_calls=[{"id": "1"}]),
        {"choices": [*chat(content="a")["choices"], *chat(content="b")["choices"]]},
        messages(TEXT, reason="max_tokens"),
        messages(TEXT, {"type": "tool_use", "name": "clock"}),
        {"output": [OUTPUT, {"type": "function_call"}], "status": "completed"},
        {"output": [OUTPUT], "status": "incomplete"},
    ],
)
def test_what_is_not_given_again(response: dict[str, Any]) -> None:
    said = said_in(response)
    assert said is not None
    assert not said.whole


def test_what_the_log_does_not_have() -> None:
    assert said_in({}) is None
    assert said_in(chat(content="redacted-by-litellm")) == Said(True, None)


def test_streams_are_put_together() -> None:
    told = [{"choices": [{"delta": {"content": part}, "finish_reason": None}]} for part in ("At ", "ten.")]
    assert said_in_stream([*told, {"choices": [{"delta": {}, "finish_reason": "stop"}]}]) == Said(True, "At ten.")
    assert said_in_stream([*told, {"choices": [{"delta": {}, "finish_reason": "length"}]}]) == Said(False, "At ten.")
    calls = [{"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}]
    assert said_in_stream(calls) == Said(False, None)
    blocks = [
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "At ten."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]
    assert said_in_stream(blocks) == Said(True, "At ten.")
    tool = {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "clock"}}
    assert said_in_stream([*blocks, tool]) == Said(False, "At ten.")
    done = {"type": "response.completed", "response": {"output": [OUTPUT], "status": "completed"}}
    assert said_in_stream([{"type": "response.created", "response": {"output": []}}, done]) == Said(True, "At ten.")
    assert said_in_stream([{"usage": {}}]) is None


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (chat("length", content="At"), True),
        (chat(content="At ten."), False),
        (messages(TEXT, reason="max_tokens"), True),
        (messages(TEXT), False),
        ({"output": [OUTPUT], "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, True),
        ({"output": [OUTPUT], "status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, False),
        ({"output": [OUTPUT], "status": "completed", "incomplete_details": None}, False),
        ({}, None),
        ({"choices": [{"message": {"content": "At"}}]}, None),
    ],
)
def test_whether_it_was_cut_off(response: dict[str, Any], told: bool | None) -> None:
    assert cut_off(response) is told


def test_whether_a_stream_was_cut_off() -> None:
    openai = [{"choices": [{"delta": {"content": "At"}}]}, {"choices": [{"delta": {}, "finish_reason": "length"}]}]
    anthropic = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}]
    done = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert cut_off_in_stream(openai) is True
    assert cut_off_in_stream(anthropic) is False
    assert cut_off_in_stream([{"type": "response.incomplete", "response": done}]) is True
    assert cut_off_in_stream(openai[:1]) is None
