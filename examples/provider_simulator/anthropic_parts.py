"""The content of an Anthropic request: tools, system, messages, and their breakpoints."""

from dataclasses import replace
from typing import Any

import orjson

from examples.provider_simulator.cache_marked import MAX_MARKS
from examples.provider_simulator.conversation import Conversation, Part, Tool, Turn, object_part, text_part
from examples.provider_simulator.errors import invalid
from examples.provider_simulator.fields import Json, as_object, list_field, optional_list, optional_object, text_field
from examples.provider_simulator.schemas import checked_schema

_MEDIA = {"image": "image", "document": "file"}
_OTHER = {"tool_use", "thinking", "redacted_thinking", "server_tool_use", "search_result"}
_UNMARKABLE = {"thinking", "redacted_thinking"}


def read_conversation(body: Json) -> Conversation:
    messages = list_field(body, "messages")
    if not messages:
        raise invalid("messages", "at least one message is required")
    rows = enumerate(optional_list(body, "tools"))
    tools = tuple(_tool(as_object(row, f"tools.{i}"), f"tools.{i}.") for i, row in rows)
    turns = tuple(_turn(as_object(row, f"messages.{i}"), f"messages.{i}.") for i, row in enumerate(messages))
    _check_tool_results(messages)
    system = tuple(_content(body.get("system"), "system"))
    choice = optional_object(body, "tool_choice")
    media = any(part.kind == "image" for turn in turns for part in turn.parts)
    conversation = Conversation(
        tools=tools,
        system=system,
        turns=turns,
        forced_tool=_forced(choice, tools),
        tools_off=choice.get("type") == "none",
        schema=_schema(body),
        stop=tuple(str(word) for word in optional_list(body, "stop_sequences")),
        system_state=_text(body.get("speed")),
        message_state=_text([choice, body.get("thinking"), media]),
    )
    return _with_top_mark(conversation, body)


def _schema(body: Json) -> Json | None:
    """The schema of structured output: `output_config.format`, or `output_format` as it was called first."""
    found = optional_object(body, "output_config").get("format") or body.get("output_format")
    if not found:
        return None
    return checked_schema(as_object(found, "output_config.format").get("schema"), "output_config.format.schema")


def _turn(row: Json, path: str) -> Turn:
    role = text_field(row, "role", path)
    if role not in {"user", "assistant"}:
        raise invalid(f"{path}role", f"Input should be 'user' or 'assistant', not '{role}'")
    if row.get("content") is None:
        raise invalid(f"{path}content", "Field required")
    return Turn(role, tuple(_content(row["content"], f"{path}content")))


def _content(content: Any, path: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)]
    if not isinstance(content, list):
        raise invalid(path, "Input should be a valid string or a valid list")
    return [_part(as_object(row, f"{path}.{i}"), f"{path}.{i}.") for i, row in enumerate(content)]


def _part(row: Json, path: str) -> Part:
    kind, mark = text_field(row, "type", path), _mark(row, path)
    if kind == "text":
        text = text_field(row, "text", path)
        if not text:
            marked = "cache_control cannot be set for empty text blocks"
            raise invalid(path.rstrip("."), marked if mark else "text content blocks must be non-empty")
        return text_part(text, mark)
    if mark and kind in _UNMARKABLE:
        raise invalid(f"{path}cache_control", f"{kind} blocks can not be marked")
    bare = {name: value for name, value in row.items() if name != "cache_control"}
    if kind == "tool_result":
        inner = _content(row.get("content"), f"{path}content")
        return object_part(kind, bare, mark, text="\n".join(part.text for part in inner))
    if kind in _MEDIA:
        return object_part(_MEDIA[kind], bare, mark, text="")
    if kind not in _OTHER:
        raise invalid(f"{path}type", f"'{kind}' is not a known content block")
    return object_part("tool_call" if kind == "tool_use" else kind, bare, mark)


def _check_tool_results(messages: list[Any]) -> None:
    """Every call of a tool is answered in the very next message, and nothing else is answered there."""
    asked: set[str] = set()
    for index, row in enumerate(messages):
        blocks = row["content"] if isinstance(row["content"], list) else []
        given = {
            text_field(block, "tool_use_id", f"messages.{index}.") for block in blocks if block["type"] == "tool_result"
        }
        if given != asked:
            rule = "`tool_use` ids need `tool_result` blocks in the next message, and the other way round"
            raise invalid(f"messages.{index}", f"{rule}: {sorted(given ^ asked)}")
        asked = {text_field(block, "id", f"messages.{index}.") for block in blocks if block["type"] == "tool_use"}


def _tool(row: Json, path: str) -> Tool:
    name, mark = text_field(row, "name", path), _mark(row, path)
    bare = {key: value for key, value in row.items() if key != "cache_control"}
    hosted = row.get("type", "custom") != "custom"
    if not hosted and "input_schema" not in row:
        raise invalid(f"{path}input_schema", "Field required")
    schema = checked_schema(row.get("input_schema") or {}, f"{path}input_schema")
    return Tool("" if hosted else name, str(row.get("description") or ""), schema, object_part("tool", bare, mark))


def _forced(choice: Json, tools: tuple[Tool, ...]) -> str | None:
    kind = text_field(choice, "type", "tool_choice.") if choice else "auto"
    if kind not in {"auto", "any", "tool", "none"}:
        raise invalid("tool_choice.type", f"'{kind}' is not one of any, auto, none, tool")
    if kind != "tool":
        return "*" if kind == "any" else None
    name = text_field(choice, "name", "tool_choice.")
    if name not in {tool.name for tool in tools}:
        raise invalid("tool_choice.name", f"Tool '{name}' not found in provided tools")
    return name


def _mark(row: Json, path: str) -> str | None:
    control = row.get("cache_control")
    if control is None:
        return None
    ttl = as_object(control, f"{path}cache_control").get("ttl", "5m")
    if control.get("type") != "ephemeral" or ttl not in {"5m", "1h"}:
        raise invalid(f"{path}cache_control", "expected {'type': 'ephemeral'} with a ttl of '5m' or '1h'")
    return str(ttl)


def _with_top_mark(conversation: Conversation, body: Json) -> Conversation:
    """A `cache_control` of the request itself marks its last block that can be marked."""
    mark = _mark(body, "")
    last = conversation.turns[-1]
    places = [i for i, part in enumerate(last.parts) if part.kind not in _UNMARKABLE and part.canonical]
    if mark is None or not places:
        return conversation
    place = places[-1]
    known = last.parts[place].mark
    if known and known != mark:
        raise invalid("cache_control.ttl", f"'{mark}' differs from the ttl '{known}' of the last block's cache_control")
    used = sum(block.part.mark is not None for block in conversation.blocks)
    if not known and used >= MAX_MARKS:
        raise invalid("cache_control", f"all {MAX_MARKS} breakpoints are taken by marked blocks")
    parts = (*last.parts[:place], replace(last.parts[place], mark=mark), *last.parts[place + 1 :])
    return replace(conversation, turns=(*conversation.turns[:-1], Turn(last.role, parts)))


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
