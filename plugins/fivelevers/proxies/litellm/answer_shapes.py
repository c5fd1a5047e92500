"""A stored answer in the shape that each API gives it, whole and as the events of a stream.

Plain data as it goes over the wire; nothing of LiteLLM is needed here. Sources: the event references of
platform.openai.com/docs/api-reference/chat-streaming and /responses-streaming, and of
platform.claude.com/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from fivelevers.answer import StoredAnswer
from fivelevers.prices import Usage

Json = dict[str, Any]

_SHORTEST_DELTA, _DELTAS_AT_MOST = 24, 32  # a long answer costs no more events than a short one
_WORD = re.compile(r"\s*\S+|\s+")
_FREE: Mapping[str, float] = {"cost": 0.0}  # in the usage of streams, LiteLLM writes what they cost
# What a Responses object repeats of its request, with OpenAI's defaults.
_REPEATED: Mapping[str, object] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
    "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendering:
    """One answer, given once: ``id`` and ``created`` (seconds since the epoch) are new each time.

    ``request`` is the body that is answered, of which a Responses object repeats some fields.
    """

    answer: StoredAnswer
    created: int
    request: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


def deltas(text: str) -> Iterator[str]:
    """The text in two pieces or more, which end where words do unless a word is longer than a piece."""
    size = max(_SHORTEST_DELTA, -(-len(text) // _DELTAS_AT_MOST))
    size = min(size, -(-len(text) // 2))  # a short answer comes in two
    held = ""
    for word in _WORD.findall(text):
        if held and len(held) + len(word) > size:
            yield held
            held = ""
        held += word
        while len(held) > size:
            yield held[:size]
            held = held[size:]
    if held:
        yield held


def chat_completion(of: Rendering) -> Json:
    message = {"role": "assistant", "content": of.answer.text}
    return {
        **_chat(of, "chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": chat_usage(of.answer.usage),
    }


def chat_chunks(of: Rendering) -> Iterator[Json]:
    """The last one has the reason and the usage; who did not ask for that is not shown it (LiteLLM sees to it)."""
    role: Json = {"role": "assistant"}
    for piece in deltas(of.answer.text):
        yield _chunk(of, {**role, "content": piece}, None)
        role = {}
    yield {**_chunk(of, {}, "stop"), "usage": {**chat_usage(of.answer.usage), **_FREE}}


def _chunk(of: Rendering, delta: Json, reason: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {**_chat(of, "chat.completion.chunk"), "choices": [choice]}


def _chat(of: Rendering, kind: str) -> Json:
    return {"id": f"chatcmpl-{of.id}", "object": kind, "created": of.created, "model": of.answer.model}


def chat_usage(usage: Usage) -> Json:
    counted: Json = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    written = usage.cache_write_5m + usage.cache_write_1h
    if usage.cache_read or written:
        counted["prompt_tokens_details"] = {"cached_tokens": usage.cache_read, "cache_creation_tokens": written}
    return counted


def message(of: Rendering) -> Json:
    """Of the Messages API."""
    return {
        **_message(of),
        "content": [{"type": "text", "text": of.answer.text}],
        "stop_reason": "end_turn",
        "usage": message_usage(of.answer.usage),
    }


def message_events(of: Rendering) -> Iterator[str]:
    """Server-sent events, as the Messages API frames them."""
    usage = message_usage(of.answer.usage)
    start = {**_message(of), "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield _sse({"type": "message_start", "message": start})
    yield _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in deltas(of.answer.text):
        yield _sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _sse({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _sse({"type": "message_delta", "delta": stop, "usage": usage})
    yield _sse({"type": "message_stop"})


def _message(of: Rendering) -> Json:
    start = {"id": f"msg_{of.id}", "type": "message", "role": "assistant", "model": of.answer.model}
    return {**start, "stop_sequence": None}


def message_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
    }


def _sse(event: Json) -> str:
    return f"event: {event['type']}\ndata: {orjson.dumps(event).decode()}\n\n"


def response(of: Rendering) -> Json:
    """Of the Responses API."""
    return {**_response(of), "status": "completed", "output": [_item(of)], "usage": response_usage(of.answer.usage)}


def response_events(of: Rendering) -> Iterator[Json]:
    """The events of a stream, numbered from 0."""
    for number, event in enumerate(_response_events(of)):
        yield {**event, "sequence_number": number}


def _response_events(of: Rendering) -> Iterator[Json]:
    begun = {**_response(of), "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    item = _item(of)
    part = item["content"][0]
    here = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun_item = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun_item}
    yield {"type": "response.content_part.added", **here, "part": {**part, "text": ""}}
    for piece in deltas(of.answer.text):
        yield {"type": "response.output_text.delta", **here, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **here, "text": of.answer.text, "logprobs": []}
    yield {"type": "response.content_part.done", **here, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    whole = response(of)
    whole["usage"] |= _FREE
    yield {"type": "response.completed", "response": whole}


def _response(of: Rendering) -> Json:
    repeated = {name: of.request.get(name) for name in _REPEATED}
    return {
        "id": f"resp_{of.id}",
        "object": "response",
        "created_at": of.created,
        "model": of.answer.model,
        "error": None,
        "incomplete_details": None,
        "previous_response_id": None,
        "store": False,  # no provider knows this id
        **{name: _REPEATED[name] if value is None else value for name, value in repeated.items()},
    }


def _item(of: Rendering) -> Json:
    part = {"type": "output_text", "text": of.answer.text, "annotations": [], "logprobs": []}
    return {"id": f"msg_{of.id}", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def response_usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total,
    }
