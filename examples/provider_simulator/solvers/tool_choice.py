"""An agent's free choice: the tool whose verb the user's message names, with arguments found in the message."""

import re
from collections.abc import Mapping
from typing import Any

from examples.provider_simulator.answer import ToolCall
from examples.provider_simulator.conversation import Tool
from examples.provider_simulator.solvers.extraction import dump
from examples.provider_simulator.solvers.words import stem, stems

_QUOTED = re.compile(r"`([^`]+)`|\"([^\"]+)\"|'([^']{3,})'")
_PATH = re.compile(r"\b[\w.-]*(?:/[\w.-]+)+|\b[\w-]+\.[a-z]{1,5}\b")
_NUMBER = re.compile(r"\b\d+\b")


def choose(tools: tuple[Tool, ...], text: str) -> ToolCall | None:
    """The best call, or None when the message names no tool's verb."""
    said = set(stems(text))
    best, best_score = None, 0
    for tool in tools:
        verb, *rest = [stem(word) for word in re.sub(r"([a-z])([A-Z])", r"\1_\2", tool.name).lower().split("_")]
        score = 2 * (verb in said) + sum(word in said for word in rest)
        if verb and verb in said and score > best_score:
            best, best_score = tool, score
    return call(best, text) if best else None


def call(tool: Tool, text: str) -> ToolCall:
    """A call of the tool with its required arguments read from the text."""
    properties = tool.schema.get("properties") or {}
    wanted = tool.schema.get("required") or list(properties)[:1]
    return ToolCall(tool.name, dump({name: _argument(name, properties.get(name) or {}, text) for name in wanted}))


def _argument(name: str, rule: Mapping[str, Any], text: str) -> Any:
    kind = rule.get("type")
    if rule.get("enum"):
        return next((option for option in rule["enum"] if str(option).lower() in text.lower()), rule["enum"][0])
    if kind in {"integer", "number"}:
        number = _NUMBER.search(text)
        return int(number.group()) if number else 1
    if kind in {"boolean", "array", "object"}:
        return {"boolean": True, "array": [], "object": {}}[str(kind)]
    path = _PATH.search(text)
    if path and re.search(r"path|file|target|dir", name):
        return path.group()
    quoted = _QUOTED.search(text)
    if quoted:
        return next(found for found in quoted.groups() if found)
    return path.group() if path else text[:80].strip()
