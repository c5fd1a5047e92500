"""Where a request's body can carry cache marks, and the body with marks on it.

A place is the path of the part that carries the mark of a segment: one for each segment that `request.parse` finds, in
its order, None where a provider takes no mark, or where the client has put one already. Bodies are never changed: what
a mark touches is copied on the way down, since the proxy sends the same body to another deployment when it retries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeGuard

from fivelevers.request import Api

Place = tuple[str | int, ...]
"""The path of a part in a body: ``("messages", 3, "content", 0)``."""


class Dialect(StrEnum):
    """How a provider spells a mark."""

    ANTHROPIC = "anthropic"  # cache_control with a TTL
    OPENAI = "openai"  # prompt_cache_breakpoint, from the 5.6 family on


KEYS = {Dialect.ANTHROPIC: "cache_control", Dialect.OPENAI: "prompt_cache_breakpoint"}
_ANTHROPIC_BLOCKS = frozenset(
    {"text", "image", "image_url", "document", "file", "tool_use", "tool_result", "search_result"}
)
_OPENAI_BLOCKS = frozenset(
    {"text", "image", "image_url", "file", "input_audio", "input_text", "input_image", "input_file"}
)
_TTL_NAMES = {3600: "1h"}


def mark(dialect: Dialect, ttl_s: int) -> dict[str, str]:
    """The value of a mark. Five minutes are Anthropic's default and stay unsaid."""
    if dialect is Dialect.OPENAI:
        return {"mode": "explicit"}
    ttl = _TTL_NAMES.get(ttl_s)
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}


def places(api: Api, body: Mapping[str, Any], dialect: Dialect) -> list[Place | None]:
    """One place for each segment of ``request.parse(api, body)``."""
    return list(_places(api, body, dialect))


def _places(api: Api, body: Mapping[str, Any], dialect: Dialect) -> Iterator[Place | None]:
    tools = body.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        yield ("tools", index) if dialect is Dialect.ANTHROPIC and _free(tool, dialect) else None
    for name in ("system", "instructions"):
        if body.get(name) is not None:
            markable = name == "system" and dialect is Dialect.ANTHROPIC
            yield from _content((name,), body[name], dialect) if markable else _none(body[name])
    if api is Api.RESPONSES:
        items = body.get("input")
        if isinstance(items, list):
            yield from _messages("input", items, dialect)
        elif items is not None:
            yield ("input",) if dialect is Dialect.OPENAI and isinstance(items, str) and items.strip() else None
    elif api is Api.EMBEDDINGS:
        yield from _none(body["input"]) if body.get("input") is not None else ()
    else:
        messages = body.get("messages")
        yield from _messages("messages", messages if isinstance(messages, list) else [], dialect)


def _messages(name: str, messages: list[Any], dialect: Dialect) -> Iterator[Place | None]:
    for index, message in enumerate(messages):
        if isinstance(message, dict) and isinstance(message.get("role"), str):
            yield from _message((name, index), message, dialect)
        else:
            yield None


def _message(at: Place, message: Mapping[str, Any], dialect: Dialect) -> Iterator[Place | None]:
    """The blocks of the content, then the rest of the message (tool calls, ids) where it has any."""
    takes = _free(message, dialect) and (dialect is Dialect.ANTHROPIC or message["role"] != "assistant")
    content = message.get("content")
    blocks: list[Place | None] = []
    if content is not None and content != []:
        blocks = list(_content((*at, "content"), content, dialect)) if takes else list(_none(content))
    rest = any(key not in _NO_REST for key in message)
    if not rest and blocks:
        yield from blocks
        return
    # The whole message is one block to the provider where something follows its content, so the mark is its end's.
    yield from (*blocks[:-1], None) if blocks else ()
    yield _tool_calls(at, message, dialect) if message.get("tool_calls") else blocks[-1] if blocks else None


def _tool_calls(at: Place, message: Mapping[str, Any], dialect: Dialect) -> Place | None:
    calls = message["tool_calls"]
    if dialect is Dialect.OPENAI or not isinstance(calls, list) or not _free(calls[-1], dialect):
        return None
    return (*at, "tool_calls", len(calls) - 1)


_NO_REST = frozenset({"role", "content", "type", "cache_control", "prompt_cache_breakpoint"})


def _content(at: Place, content: object, dialect: Dialect) -> Iterator[Place | None]:
    if isinstance(content, str):
        yield at if content.strip() else None
        return
    blocks = content if isinstance(content, list) and content else [content]
    for index, block in enumerate(blocks):
        yield (*at, index) if isinstance(content, list) and _takes(block, dialect) else None


def _takes(block: object, dialect: Dialect) -> bool:
    if not _free(block, dialect):
        return False
    kind = str(block.get("type"))
    if kind in ("text", "input_text"):
        text = block.get("text")
        return isinstance(text, str) and bool(text.strip()) and (kind == "text" or dialect is Dialect.OPENAI)
    return kind in (_ANTHROPIC_BLOCKS if dialect is Dialect.ANTHROPIC else _OPENAI_BLOCKS)


def _free(part: object, dialect: Dialect) -> TypeGuard[dict[str, Any]]:
    """A client's own mark stays, whatever it says."""
    return isinstance(part, dict) and KEYS[dialect] not in part


def _none(content: object) -> Iterator[None]:
    yield from [None] * (len(content) if isinstance(content, list) and content else 1)


def marked(api: Api, body: Mapping[str, Any], marks: Mapping[Place, int], dialect: Dialect) -> dict[str, Any]:
    """The fields of ``body`` that change, with ``marks`` (place -> TTL in seconds) on them."""
    changed: dict[str, Any] = {}
    for place, ttl_s in marks.items():
        name = str(place[0])
        changed[name] = _put(api, changed.get(name, body[name]), place[1:], (dialect, mark(dialect, ttl_s)))
    return changed


def _put(api: Api, part: Any, rest: Place, stamp: tuple[Dialect, dict[str, str]]) -> Any:
    """A copy of ``part`` whose part at ``rest`` is marked."""
    dialect, value = stamp
    if not rest:
        if isinstance(part, str):
            return [_text_block(api, part, stamp)]
        return {**part, KEYS[dialect]: value}
    step = rest[0]
    if step == "content" and len(rest) == 1 and isinstance(part["content"], str):
        if api is Api.CHAT and dialect is Dialect.ANTHROPIC:
            return {**part, KEYS[dialect]: value}  # LiteLLM's own way: it moves the mark to the block that it makes
        return {**part, "content": [_text_block(api, part["content"], stamp, nested=True)]}
    inner = _put(api, part[step], rest[1:], stamp)
    if isinstance(part, list):
        return [inner if index == step else each for index, each in enumerate(part)]
    return {**part, step: inner}


def _text_block(api: Api, text: str, stamp: tuple[Dialect, dict[str, str]], *, nested: bool = False) -> dict[str, Any]:
    dialect, value = stamp
    block = {"type": "input_text" if api is Api.RESPONSES else "text", "text": text, KEYS[dialect]: value}
    if api is Api.RESPONSES and not nested:  # the whole input was a string
        return {"role": "user", "content": [block]}
    return block
