"""POST /v1/responses (https://developers.openai.com/api/reference/resources/responses)."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson

from examples.provider_simulator.answer import Answer, call_tokens
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.call import Api, Call, Chunk, Reply, Surroundings, check_limits
from examples.provider_simulator.conversation import Conversation, Part, Tool, Turn, object_part, text_part
from examples.provider_simulator.errors import invalid, missing
from examples.provider_simulator.fields import (
    Json,
    as_object,
    flag,
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

_ROLES = {"system", "developer", "user", "assistant"}


def parse(body: Json, around: Surroundings) -> Call:
    model = around.catalogue.find(text_field(body, "model"), "openai")
    number_in(body, "temperature", 0, 2)
    number_in(body, "top_p", 0, 1)
    call = Call(
        api="responses",
        model=model,
        body=body,
        conversation=_conversation(body, around),
        stream=flag(body, "stream"),
        max_tokens=whole_number(body, "max_output_tokens"),
        **cache_options(body),
    )
    return check_limits(call)


def input_items(body: Json) -> list[Any]:
    """The request's own input as items."""
    given = body.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise invalid("input", "expected a string or a non-empty array of items")
    return given


def _conversation(body: Json, around: Surroundings) -> Conversation:
    earlier = text_field(body, "previous_response_id") if body.get("previous_response_id") else ""
    items = (around.earlier_items(earlier) if earlier else []) + input_items(body)
    rows = [as_object(item, f"input[{index}]") for index, item in enumerate(items)]
    turns = [turn for index, row in enumerate(rows) if (turn := _turn(row, f"input[{index}]."))]
    first = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    instructions = text_field(body, "instructions") if body.get("instructions") else ""
    lead = [text_part(instructions)] if instructions else []
    tools = tuple(_tool(as_object(row, f"tools[{i}]"), i) for i, row in enumerate(optional_list(body, "tools")))
    return Conversation(
        tools=tools,
        system=(*lead, *(part for turn in turns[:first] for part in turn.parts)),
        turns=tuple(turns[first:]),
        forced_tool=forced_tool(body.get("tool_choice"), tools),
        tools_off=body.get("tool_choice") == "none",
        schema=output_schema(optional_object(optional_object(body, "text"), "format"), "text.format"),
    )


def _turn(row: Json, path: str) -> Turn | None:
    kind = row.get("type", "message")
    if kind == "message":
        role = text_field(row, "role", path)
        if role not in _ROLES:
            raise invalid(f"{path}role", f"'{role}' is not one of {', '.join(sorted(_ROLES))}")
        parts = content_parts(row.get("content"), f"{path}content")
        return Turn("system" if role == "developer" else role, tuple(parts))
    if kind == "function_call":
        return Turn("assistant", (object_part("tool_call", {name: row.get(name) for name in ("name", "arguments")}),))
    if kind == "function_call_output":
        output = row.get("output")
        texts = [output] if isinstance(output, str) else [part.text for part in content_parts(output, f"{path}output")]
        text = "\n".join(texts)
        return Turn("tool", (Part("tool_result", text, f"result:{text}"),))
    return None  # reasoning and other items carry nothing that the simulated model reads


def _tool(row: Json, index: int) -> Tool:
    return function_tool(row, f"tools[{index}].") if row.get("type") == "function" else hosted_tool(row)


def usage_json(usage: Usage) -> Json:
    return {
        "input_tokens": usage.all_input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write_5m},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.all_input + usage.output,
    }


def whole(reply: Reply) -> Json:
    return _response(reply, _items(reply), "incomplete" if reply.answer.finish == "length" else "completed")


def _response(reply: Reply, output: list[Json], status: str) -> Json:
    body, done = reply.call.body, status != "in_progress"
    cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": reply.id,
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": cut,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": reply.call.model.snapshot,
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": usage_json(reply.usage) if done and reply.show_usage else None,
        "user": body.get("user"),
    }


def _items(reply: Reply) -> list[Json]:
    """The output items; their ids follow from the response's, so that a stream names them alike."""
    answer, stem = reply.answer, reply.id.removeprefix("resp_")
    status = "incomplete" if answer.finish == "length" else "completed"
    items: list[Json] = []
    if answer.text or not answer.calls:
        content = [_text_content(answer.text)]
        items.append(
            {"id": f"msg_{stem}", "type": "message", "role": "assistant", "status": status, "content": content}
        )
    for index, call in enumerate(answer.calls):
        head = {"id": f"fc_{stem}{index}", "type": "function_call", "status": status, "name": call.name}
        items.append(head | {"call_id": f"call_{uuid4().hex[:24]}", "arguments": call.arguments})
    return items


def _text_content(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def stream(reply: Reply) -> Iterator[Chunk]:
    """Every event of the sequence, numbered."""
    for number, (kind, tokens, fields) in enumerate(_events(reply)):
        data = orjson.dumps({"type": kind, "sequence_number": number, **fields})
        has_usage = kind in {"response.completed", "response.incomplete"} and reply.show_usage
        yield Chunk(b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n", tokens, has_usage)


def _events(reply: Reply) -> Iterator[tuple[str, int, Json]]:
    started, items = _response(reply, [], "in_progress"), _items(reply)
    yield "response.created", 0, {"response": started}
    yield "response.in_progress", 0, {"response": started}
    for index, item in enumerate(items):
        if item["type"] == "message":
            yield from _message_events(item, index)
        else:
            yield from _call_events(item, index, reply.answer)
    status = "incomplete" if reply.answer.finish == "length" else "completed"
    yield f"response.{status}", 0, {"response": _response(reply, items, status)}


def _message_events(item: Json, index: int) -> Iterator[tuple[str, int, Json]]:
    text = item["content"][0]["text"]
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    empty = item | {"status": "in_progress", "content": []}
    yield "response.output_item.added", 0, {"output_index": index, "item": empty}
    yield "response.content_part.added", 0, place | {"part": _text_content("")}
    for piece in stream_pieces(text):
        yield "response.output_text.delta", count_tokens(piece), place | {"delta": piece, "logprobs": []}
    yield "response.output_text.done", 0, place | {"text": text, "logprobs": []}
    yield "response.content_part.done", 0, place | {"part": _text_content(text)}
    yield "response.output_item.done", 0, {"output_index": index, "item": item}


def _call_events(item: Json, index: int, answer: Answer) -> Iterator[tuple[str, int, Json]]:
    call = next(call for call in answer.calls if call.name == item["name"] and call.arguments == item["arguments"])
    place = {"item_id": item["id"], "output_index": index}
    opening = item | {"status": "in_progress", "arguments": ""}
    tokens = call_tokens(call) - count_tokens(call.arguments)
    yield "response.output_item.added", tokens, {"output_index": index, "item": opening}
    for piece in stream_pieces(call.arguments):
        yield "response.function_call_arguments.delta", count_tokens(piece), place | {"delta": piece}
    done = place | {"name": call.name, "arguments": call.arguments}
    yield "response.function_call_arguments.done", 0, done
    yield "response.output_item.done", 0, {"output_index": index, "item": item}


RESPONSES = Api("responses", "openai", "resp_", parse, whole, stream)
