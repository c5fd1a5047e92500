"""POST /v1/chat/completions (https://developers.openai.com/api/reference/resources/chat)."""

import math
import random
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson

from examples.provider_simulator.answer import Answer, call_tokens
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.call import Api, Call, Chunk, Reply, Surroundings, check_limits
from examples.provider_simulator.conversation import Conversation, Part, Tool, Turn, object_part
from examples.provider_simulator.errors import invalid
from examples.provider_simulator.fields import (
    Json,
    as_object,
    flag,
    list_field,
    number_in,
    optional_list,
    optional_object,
    text_field,
    whole_number,
)
from examples.provider_simulator.openai_parts import (
    cache_options,
    content_parts,
    forced_tool,
    function_tool,
    hosted_tool,
    output_schema,
)
from examples.provider_simulator.tokens import count_tokens, stream_pieces

_ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
_FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool": "tool_calls"}


def parse(body: Json, around: Surroundings) -> Call:
    model = around.catalogue.find(text_field(body, "model"), "openai")
    number_in(body, "temperature", 0, 2)
    number_in(body, "top_p", 0, 1)
    call = Call(
        api="chat",
        model=model,
        body=body,
        conversation=_conversation(body),
        stream=flag(body, "stream"),
        max_tokens=whole_number(body, "max_completion_tokens") or whole_number(body, "max_tokens"),
        choices=min(whole_number(body, "n") or 1, 128),
        **cache_options(body),
    )
    if body.get("stream_options") is not None and not call.stream:
        raise invalid("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    return check_limits(call)


def _conversation(body: Json) -> Conversation:
    messages = list_field(body, "messages")
    if not messages:
        raise invalid("messages", "[] is too short: expected an array with minimum length 1")
    turns = [_turn(as_object(row, f"messages[{i}]"), f"messages[{i}].") for i, row in enumerate(messages)]
    first = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    tools = tuple(_tool(as_object(row, f"tools[{i}]"), i) for i, row in enumerate(optional_list(body, "tools")))
    return Conversation(
        tools=tools,
        system=tuple(part for turn in turns[:first] for part in turn.parts),
        turns=tuple(turns[first:]),
        forced_tool=forced_tool(body.get("tool_choice"), tools),
        tools_off=body.get("tool_choice") == "none",
        schema=output_schema(optional_object(body, "response_format"), "response_format"),
        stop=_stop_words(body),
    )


def _stop_words(body: Json) -> tuple[str, ...]:
    stop = body.get("stop")
    return (stop,) if isinstance(stop, str) else tuple(str(word) for word in optional_list(body, "stop"))


def _turn(row: Json, path: str) -> Turn:
    role = text_field(row, "role", path)
    if role not in _ROLES:
        raise invalid(f"{path}role", f"'{role}' is not one of {', '.join(sorted(_ROLES))}")
    parts = content_parts(row.get("content"), f"{path}content")
    calls = [as_object(item, f"{path}tool_calls") for item in optional_list(row, "tool_calls")]
    if not parts and not calls and role not in {"assistant", "tool"}:
        raise invalid(f"{path}content", "expected a string or an array of parts, but got null")
    if role == "tool":
        text_field(row, "tool_call_id", path)
        parts = [Part("tool_result", part.text, f"result:{part.canonical}", part.mark) for part in parts]
    parts += [object_part("tool_call", optional_object(item, "function")) for item in calls]
    return Turn("system" if role == "developer" else role, tuple(parts))


def _tool(row: Json, index: int) -> Tool:
    path = f"tools[{index}].function."
    return function_tool(as_object(row["function"], path), path) if "function" in row else hosted_tool(row)


def usage_json(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.all_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.all_input + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def whole(reply: Reply) -> Json:
    asked = reply.call.body.get("logprobs") is True
    choices = [_choice(index, answer, sure=asked) for index, answer in enumerate(reply.answers)]
    return _head(reply, "chat.completion") | {"choices": choices, "usage": usage_json(reply.usage)}


def _choice(index: int, answer: Answer, *, sure: bool) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.calls:
        message["tool_calls"] = [_call(call.name, call.arguments) for call in answer.calls]
    elif not answer.text:
        message["content"] = ""
    logprobs = _logprobs(answer.text) if sure and answer.text else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": _FINISH[answer.finish]}


def _logprobs(text: str) -> Json:
    """Made up from the text: chances between .7 and 1 that say nothing of whether it is right."""
    rng = random.Random(text)
    content = [
        {"token": piece, "logprob": math.log(rng.uniform(0.7, 1.0)), "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in stream_pieces(text)
    ]
    return {"content": content, "refusal": None}


def _call(name: str, arguments: str) -> Json:
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": {"name": name, "arguments": arguments}}


def stream(reply: Reply) -> Iterator[Chunk]:
    """Deltas of each choice, then, if the caller asked for it, one chunk with the usage and no choice."""
    asked = optional_object(reply.call.body, "stream_options").get("include_usage") and reply.show_usage
    head = _head(reply, "chat.completion.chunk") | ({"usage": None} if asked else {})
    for index, answer in enumerate(reply.answers):
        for delta, tokens in _deltas(answer):
            yield _chunk(head, [_delta(index, delta)], tokens)
        yield _chunk(head, [_delta(index, {}, _FINISH[answer.finish])])
    if asked:
        data = head | {"choices": [], "usage": usage_json(reply.usage)}
        yield Chunk(b"data: " + orjson.dumps(data) + b"\n\n", has_usage=True)
    yield Chunk(b"data: [DONE]\n\n")


def _deltas(answer: Answer) -> Iterator[tuple[Json, int]]:
    """Each delta of a message with the output tokens in it."""
    yield {"role": "assistant", "content": None if answer.calls else "", "refusal": None}, 0
    for piece in stream_pieces(answer.text):
        yield {"content": piece}, count_tokens(piece)
    for index, call in enumerate(answer.calls):
        opening = _call(call.name, "")
        yield {"tool_calls": [{"index": index, **opening}]}, call_tokens(call) - count_tokens(call.arguments)
        for piece in stream_pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, count_tokens(piece)


def _delta(index: int, delta: Json, finish: str | None = None) -> Json:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _chunk(head: Json, choices: list[Any], tokens: int = 0) -> Chunk:
    return Chunk(b"data: " + orjson.dumps(head | {"choices": choices}) + b"\n\n", tokens)


def _head(reply: Reply, kind: str) -> Json:
    model = reply.call.model
    return {
        "id": reply.id,
        "object": kind,
        "created": reply.created,
        "model": model.snapshot,
        "service_tier": "default",
        "system_fingerprint": f"fp_{model.name.encode().hex()[:10]}",
    }


CHAT = Api("chat", "openai", "chatcmpl-", parse, whole, stream)
