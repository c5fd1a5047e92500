"""What a request asks, in one form for all three APIs: tools, then system, then messages, each a run of blocks.

A block's `canonical` text must be equal for a cached prefix to match; its `text` is what the simulated model reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from examples.provider_simulator.tokens import count_tokens

TURN_TOKENS = 3  # every message costs these on top of its content
MEDIA_TOKENS = {"image": 1000, "audio": 500, "file": 1500}


@dataclass(frozen=True, slots=True)
class Part:
    """One content block. `mark` is a breakpoint: "5m" or "1h" (Anthropic), "30m" (OpenAI), None without one."""

    kind: str
    text: str
    canonical: str
    mark: str | None = None

    @property
    def tokens(self) -> int:
        return MEDIA_TOKENS.get(self.kind) or count_tokens(self.text)


@dataclass(frozen=True, slots=True)
class Turn:
    role: str
    parts: tuple[Part, ...]

    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.kind == "text")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; `schema` is the JSON schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]
    part: Part


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's content. `forced_tool` is a tool's name, "*" for any of them, None when the model may choose."""

    tools: tuple[Tool, ...] = ()
    system: tuple[Part, ...] = ()
    turns: tuple[Turn, ...] = ()
    forced_tool: str | None = None
    tools_off: bool = False
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    system_state: str = ""  # what invalidates a cached system prompt and messages when it changes
    message_state: str = ""  # what invalidates cached messages when it changes
    blocks: tuple["Block", ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(_blocks(self)))

    @property
    def tokens(self) -> int:
        return sum(block.tokens for block in self.blocks)

    def system_text(self) -> str:
        later = [turn.text() for turn in self.turns if turn.role == "system"]
        return "\n".join([part.text for part in self.system] + later)


@dataclass(frozen=True, slots=True)
class Block:
    """A position in the prompt where a cached prefix can end."""

    section: str
    role: str
    part: Part
    tokens: int
    ends_turn: bool = False


def _blocks(conversation: Conversation) -> Iterator[Block]:
    for tool in conversation.tools:
        yield Block("tools", "tool", tool.part, tool.part.tokens)
    last = len(conversation.system) - 1
    for index, part in enumerate(conversation.system):
        yield Block("system", "system", part, part.tokens, ends_turn=index == last)
    for turn in conversation.turns:
        parts = turn.parts or (Part("text", "", ""),)
        for index, part in enumerate(parts):
            extra = TURN_TOKENS if index == 0 else 0
            yield Block("messages", turn.role, part, part.tokens + extra, ends_turn=index == len(parts) - 1)


def text_part(text: str, mark: str | None = None) -> Part:
    return Part("text", text, text, mark)


def object_part(kind: str, value: Mapping[str, Any], mark: str | None = None, *, text: str | None = None) -> Part:
    """A block that is not plain text, such as a tool call; without `text` the model reads its JSON."""
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return Part(kind, canonical if text is None else text, f"{kind}:{canonical}", mark)
