"""The opening of a prompt: what stands before the conversation, and repeats from request to request where it can.

Providers cache prompts from their first token on, in the order tools, system, messages. So one changed character here
makes everything behind it new. Texts are kept in the order in which they were sent, keys of JSON objects too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from typing import Any

import orjson

from fivelevers.request import DIGEST_BYTES, Api, Request, Segment, SegmentKind, canonical_json

# Parameters whose change ends a cached prefix. Sources: Anthropic's "Prompt caching" ("What invalidates the cache") and
# OpenAI's "Prompt caching" (structured outputs: the schema is a prefix of the system message), read 2026-11.
SHAPES_SYSTEM = frozenset({"response_format", "text", "speed"})
SHAPES_MESSAGES = frozenset(
    {"tool_choice", "parallel_tool_calls", "thinking", "reasoning", "reasoning_effort", "output_config"}
)

_MARKS = ("cache_control", "prompt_cache_breakpoint")
_SYSTEM_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Opening:
    """``tools`` as JSON, ``system`` by block, ``params`` as (name, JSON); all in the order of the request.

    ``conversation``: digest of the first block behind the system prompt, which names the conversation; ``said_chars``:
    how much of the conversation there is.
    """

    tools: tuple[str, ...]
    system: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    conversation: bytes
    said_chars: int

    @property
    def chars(self) -> int:
        return sum(map(len, self.tools)) + sum(map(len, self.system))


def opening_of(body: Mapping[str, Any], request: Request) -> Opening:
    """Read the opening of a body; ``request`` is the same body, parsed. Never raises on odd shapes."""
    tools, names = body.get("tools"), sorted(SHAPES_SYSTEM | SHAPES_MESSAGES)
    said = [segment for segment in request.segments if segment.kind is SegmentKind.MESSAGE]
    return Opening(
        tools=tuple(_json(tool) for tool in (tools if isinstance(tools, list) else ())),
        system=tuple(_system(request.api, body)),
        params=tuple((name, _json(body[name])) for name in names if body.get(name) is not None),
        conversation=said[0].digest if said else b"",
        said_chars=sum(segment.chars for segment in said),
    )


def opening_chars(request: Request) -> int:
    """About as many characters as the request's opening has."""
    return sum(segment.chars for segment in _segments(request))


def fingerprint(request: Request) -> bytes:
    """Equal for requests whose openings are surely equal, from digests that are there already."""
    digests = (segment.digest for segment in _segments(request))
    return sha256(b"".join((request.params, *digests))).digest()[:DIGEST_BYTES]


def _segments(request: Request) -> Iterator[Segment]:
    """Those before the conversation; it may be long, and none of it is looked at."""
    return takewhile(lambda segment: segment.kind is not SegmentKind.MESSAGE, request.segments)


def _system(api: Api, body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("system", "instructions"):
        yield from _texts(body.get(name))
    turns = body.get("input" if api is Api.RESPONSES else "messages")
    for message in takewhile(_is_system, turns if isinstance(turns, list) else ()):
        yield from _texts(message.get("content"))


def _is_system(message: object) -> bool:
    return isinstance(message, Mapping) and message.get("role") in _SYSTEM_ROLES


def _texts(content: object) -> Iterator[str]:
    for block in content if isinstance(content, list) else [content]:
        text = block.get("text") if isinstance(block, Mapping) else block
        if isinstance(text, str):
            yield text
        elif block is not None:
            yield _json(block)


def _json(value: object) -> str:
    """In the order that was sent; a cache mark is no meaning."""
    if isinstance(value, Mapping):
        value = {name: part for name, part in value.items() if name not in _MARKS}
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return canonical_json(value).decode("utf-8", "replace")
