"""The canonical request: what a provider would read, in segments with hashes, whatever API it came through.

A prompt is a sequence of segments in the order in which providers cache it: tools, system, messages; one segment per
content block. Two segments have the same digest when a model reads the same thing: key order does not matter, and a
string equals one text block. Cache marks are the client's wish and not meaning, so they are kept beside the digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

DIGEST_BYTES = 16


class Api(StrEnum):
    """The request shapes that we read; everything else that the proxy serves is OTHER."""

    CHAT = "chat"
    MESSAGES = "messages"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    OTHER = "other"


class SegmentKind(StrEnum):
    TOOL = "tool"
    SYSTEM = "system"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Segment:
    """One block of the prompt.

    ``digest`` is of this block alone (kind, role and position in its message included), 16 bytes; ``chars`` its length
    as text or JSON; ``mark`` the client's own cache mark as its TTL (``"5m"`` where the mark names none), or None.
    """

    kind: SegmentKind
    role: str
    digest: bytes
    chars: int
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request as every lever sees it.

    ``params`` is the digest of everything else that shapes the answer (temperature, response format, tool choice ...).
    ``system_state`` and ``message_state`` are the parameters without which a cached system prompt, or cached messages,
    can not be read again.
    """

    api: Api
    model: str
    stream: bool
    segments: tuple[Segment, ...]
    params: bytes
    system_state: bytes = b""
    message_state: bytes = b""

    @property
    def chars(self) -> int:
        return sum(segment.chars for segment in self.segments)

    @property
    def digest(self) -> bytes:
        """Digest of everything that shapes the answer but the model: equal where the same is asked again."""
        h = sha256(self.params)
        for segment in self.segments:
            h.update(segment.digest)
        return h.digest()[:DIGEST_BYTES]

    @property
    def shared(self) -> bytes | None:
        """Digest of the tools and the system prompt, which conversations share; None where there is neither."""
        parts = [segment.digest for segment in self.segments if segment.kind is not SegmentKind.MESSAGE]
        return sha256(b"".join(parts)).digest()[:DIGEST_BYTES] if parts else None

    @property
    def opening(self) -> bytes:
        """Digest of the system prompt and the first user block: what names a conversation that names itself nowhere."""
        h = sha256()
        for segment in self.segments:
            if segment.kind is SegmentKind.SYSTEM:
                h.update(segment.digest)
            elif segment.kind is SegmentKind.MESSAGE and segment.role == "user":
                h.update(segment.digest)
                break
        return h.digest()[:DIGEST_BYTES]


# Fields that carry the prompt, or that change nothing in the answer: transport, identity and the proxy's own.
_PROMPT = {"messages", "input", "system", "instructions", "tools"}
_TRANSPORT = {"model", "stream", "stream_options", "timeout", "num_retries", "fallbacks", "extra_headers", "api_key"}
_IDENTITY = {"user", "metadata", "litellm_metadata", "tags", "safety_identifier", "litellm_session_id"}
_STORAGE = {"cache", "cache_control", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store"}
_NOT_PARAMS = frozenset(_PROMPT | _TRANSPORT | _IDENTITY | _STORAGE | {"background"})
_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
_READ = frozenset({"role", "content", "type"}) | _MARKS  # of a message
# Source: platform.claude.com/docs/en/build-with-claude/prompt-caching, "What invalidates the cache".
_SYSTEM_STATE = ("speed",)
_MESSAGE_STATE = ("tool_choice", "parallel_tool_calls", "thinking", "reasoning_effort", "output_config")
_TEXT_TYPES = ("text", "input_text", "output_text")  # no set: what stands there may be unhashable
_SYSTEM_ROLES = frozenset({"system", "developer"})


def parse(api: Api, body: Mapping[str, Any]) -> Request:
    """Read a request body. Never raises on odd shapes: what is not understood is hashed as the JSON that it is."""
    model = body.get("model")
    return Request(
        api=api,
        model=model if isinstance(model, str) else "",
        stream=body.get("stream") is True,
        segments=tuple(_segments(api, body)),
        params=_digest(b"params", canonical_json({k: v for k, v in body.items() if k not in _NOT_PARAMS})),
        system_state=_state(body, _SYSTEM_STATE),
        message_state=_state(body, _MESSAGE_STATE) + (b"images" if _has_image(body) else b""),
    )


def _state(body: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    """Empty where none of the fields is given, which is the common case."""
    given = {name: body[name] for name in names if body.get(name) is not None}
    return canonical_json(given) if given else b""


def _has_image(body: Mapping[str, Any]) -> bool:
    messages = body.get("messages") or body.get("input")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") in ("image", "image_url", "input_image"):
                return True
    return False


def canonical_json(value: object) -> bytes:
    """Equal for equal meaning: JSON with sorted keys, or lines where orjson refuses (huge integers, 255 levels ...)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError):
        return b"~" + _tokens(value)  # the prefix keeps the two encodings apart


def _tokens(value: object) -> bytes:
    """The value as lines, containers with their length. Not recursive: some bodies are deeper than Python's stack."""
    lines: list[str] = []
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            lines.append(f"{{{len(item)}")
            rest += [part for key in sorted(item, key=ascii) for part in (key, item[key])]
        elif isinstance(item, list):
            lines.append(f"[{len(item)}")
            rest += item
        else:
            lines.append(ascii(item))  # escapes keep lone surrogates, which UTF-8 can not, and line ends
    return "\n".join(lines).encode()


def _segments(api: Api, body: Mapping[str, Any]) -> Iterator[Segment]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        yield _block(SegmentKind.TOOL, "", 0, tool)
    for name in ("system", "instructions"):
        if body.get(name) is not None:
            yield from _content(SegmentKind.SYSTEM, "system", body[name])
    if api in (Api.RESPONSES, Api.EMBEDDINGS):
        yield from _input(api, body.get("input"))
    else:
        yield from _messages(body.get("messages"))


def _input(api: Api, value: object) -> Iterator[Segment]:
    if api is Api.RESPONSES and isinstance(value, list):
        yield from _messages(value)
    elif value is not None:
        yield from _content(SegmentKind.MESSAGE, "user", value)


def _messages(messages: object) -> Iterator[Segment]:
    if not isinstance(messages, list):
        return
    for message in messages:
        if isinstance(message, dict) and isinstance(message.get("role"), str):
            yield from _message(message)
        else:  # a Responses item (function_call, reasoning ...) or something that the provider will refuse
            yield _block(SegmentKind.MESSAGE, "", 0, message)


def _message(message: Mapping[str, Any]) -> Iterator[Segment]:
    role = message["role"]
    kind = SegmentKind.SYSTEM if role in _SYSTEM_ROLES else SegmentKind.MESSAGE
    position = 0
    content = message.get("content")
    if content is not None and content != []:
        for segment in _content(kind, role, content, message_mark=_mark(message)):
            position += 1
            yield segment
    rest = {} if _READ.issuperset(message) else {k: v for k, v in message.items() if k not in _READ}
    if rest or not position:
        yield _block(kind, role, position, rest)


def _content(kind: SegmentKind, role: str, content: object, message_mark: str | None = None) -> Iterator[Segment]:
    blocks = content if isinstance(content, list) and content else [content]
    last = len(blocks) - 1
    for position, block in enumerate(blocks):
        yield _block(kind, role, position, block, message_mark if position == last else None)


def _block(kind: SegmentKind, role: str, position: int, block: object, mark: str | None = None) -> Segment:
    if isinstance(block, dict):
        mark = _mark(block) or mark
        if not _MARKS.isdisjoint(block):
            block = {k: v for k, v in block.items() if k not in _MARKS}
        if block.get("type") in _TEXT_TYPES and len(block) == 2 and isinstance(block.get("text"), str):
            block = block["text"]
    header = _header(kind, role, first=position == 0)
    if isinstance(block, str):
        payload = block.encode("utf-8", "surrogatepass")
        return Segment(kind, role, _digest(header + b"text:", payload), len(block), mark)
    payload = canonical_json(block)
    return Segment(kind, role, _digest(header + b"json:", payload), len(payload), mark)


@lru_cache(maxsize=256)  # a role may be anything that a client writes
def _header(kind: SegmentKind, role: str, *, first: bool) -> bytes:
    """Injective: fixed words, then lengths before anything that a client wrote."""
    return f"{kind}:{len(role)}:{role}:{'first' if first else 'next'}:".encode("utf-8", "surrogatepass")


def _mark(block: Mapping[str, Any]) -> str | None:
    mark = block.get("cache_control") or block.get("prompt_cache_breakpoint")
    if not mark:
        return None
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    return ttl if isinstance(ttl, str) else "5m"


def _digest(header: bytes, payload: bytes) -> bytes:
    h = sha256(header)  # processors of the last years hash SHA-256 in hardware: 1.7 times as fast as BLAKE2b here
    h.update(payload)
    return h.digest()[:DIGEST_BYTES]
