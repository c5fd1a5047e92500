"""What an answer says, whatever API it came through: its text and the tools that it calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool of the client's; ``arguments`` as the model wrote them (JSON, or free text for custom tools)."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Output:
    """One answer. ``text`` is what the client reads, without reasoning; empty where the answer is tool calls alone."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
