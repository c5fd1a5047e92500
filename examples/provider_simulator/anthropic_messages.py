"""POST /v1/messages (https://platform.claude.com/docs/en/api/messages)."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson

from examples.provider_simulator.answer import Answer, call_tokens
from examples.provider_simulator.anthropic_parts import read_conversation
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.cache_marked import check_marks
from examples.provider_simulator.call import Api, Call, Chunk, Reply, Surroundings, check_limits
from examples.provider_simulator.errors import ApiError, invalid, missing
from examples.provider_simulator.fields import Json, flag, number_in, optional_object, text_field, whole_number
from examples.provider_simulator.tokens import count_tokens, stream_pieces

_FINISH = {"stop": "end_turn", "stop_sequence": "stop_sequence", "length": "max_tokens", "tool": "tool_use"}


def parse(body: Json, around: Surroundings) -> Call:
    call = parse_prompt(body, around)
    max_tokens = whole_number(body, "max_tokens", at_least=0)
    if max_tokens is None:
        raise missing("max_tokens")
    number_in(body, "temperature", 0, 1)
    number_in(body, "top_p", 0, 1)
    stream = flag(body, "stream")
    if max_tokens == 0:
        _check_warm_up(body, call, stream=stream)
    return check_limits(
        Call(
            api="messages",
            model=call.model,
            body=body,
            conversation=call.conversation,
            stream=stream,
            max_tokens=max_tokens,
        )
    )


def parse_prompt(body: Json, around: Surroundings) -> Call:
    """What `/v1/messages` and `/v1/messages/count_tokens` share."""
    if "anthropic-version" not in around.headers:
        raise ApiError(400, "anthropic-version: header is required")
    model = around.catalogue.find(text_field(body, "model"), "anthropic")
    conversation = read_conversation(body)
    check_marks(conversation.blocks)
    return Call(api="count_tokens", model=model, body=body, conversation=conversation)


def _check_warm_up(body: Json, call: Call, *, stream: bool) -> None:
    """`max_tokens: 0` fills the cache and answers nothing; some settings make no sense with it."""
    thinking = optional_object(body, "thinking").get("type") == "enabled"
    if stream or thinking or call.conversation.forced_tool:
        raise invalid("max_tokens", "0 can not be combined with stream, thinking or a forced tool")


def usage_json(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "service_tier": "standard",
    }


def whole(reply: Reply) -> Json:
    answer = reply.answer
    blocks: list[Json] = [{"type": "text", "text": answer.text}] if answer.text else []
    blocks += [_tool_use(call.name, orjson.loads(call.arguments)) for call in answer.calls]
    return _message(reply, blocks, reply.usage) | {"stop_reason": _FINISH[answer.finish], "stop_sequence": answer.stop}


def _message(reply: Reply, blocks: list[Json], usage: Usage) -> Json:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.call.model.snapshot,
        "content": blocks,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_json(usage),
    }


def _tool_use(name: str, arguments: Any) -> Json:
    return {"type": "tool_use", "id": f"toolu_{uuid4().hex[:24]}", "name": name, "input": arguments}


def stream(reply: Reply) -> Iterator[Chunk]:
    shown = reply.usage if reply.show_usage else Usage()
    opening = Usage(shown.input, shown.cache_read, shown.cache_write_5m, shown.cache_write_1h, min(shown.output, 1))
    yield _event("message_start", message=_message(reply, [], opening))
    yield _event("ping")
    yield from _blocks(reply.answer)
    ending = {"stop_reason": _FINISH[reply.answer.finish], "stop_sequence": reply.answer.stop}
    yield _event("message_delta", has_usage=reply.show_usage, delta=ending, usage=usage_json(shown))
    yield _event("message_stop")


def _blocks(answer: Answer) -> Iterator[Chunk]:
    if answer.text:
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for piece in stream_pieces(answer.text):
            delta = {"type": "text_delta", "text": piece}
            yield _event("content_block_delta", count_tokens(piece), index=0, delta=delta)
        yield _event("content_block_stop", index=0)
    for index, call in enumerate(answer.calls, start=1 if answer.text else 0):
        opening = call_tokens(call) - count_tokens(call.arguments)
        yield _event("content_block_start", opening, index=index, content_block=_tool_use(call.name, {}))
        for piece in ["", *stream_pieces(call.arguments)]:
            delta = {"type": "input_json_delta", "partial_json": piece}
            yield _event("content_block_delta", count_tokens(piece), index=index, delta=delta)
        yield _event("content_block_stop", index=index)


def _event(kind: str, tokens: int = 0, *, has_usage: bool = False, **fields: Any) -> Chunk:
    data = orjson.dumps({"type": kind, **fields})
    return Chunk(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n", tokens, has_usage)


MESSAGES = Api("messages", "anthropic", "msg_", parse, whole, stream)
