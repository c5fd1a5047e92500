"""Where two like prompts part, and why: what a provider's prefix cache sees, put into words. Pure.

The first difference is what counts, since nothing behind it can be read from the cache. What it loses is what both
prompts have in common behind it, values that change by themselves (times, ids, numbers) set aside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import orjson

from fivelevers.levers.prompt_cache.opening import SHAPES_SYSTEM, Opening


class Section(StrEnum):
    """The part of a prompt, in the order in which providers cache it."""

    TOOLS = "tools"
    SYSTEM = "system"
    PARAMETER = "parameter"


class What(StrEnum):
    """What differs at that place."""

    TIMESTAMP = "timestamp"
    DATE = "date"
    UUID = "uuid"
    RANDOM_ID = "random id"
    NUMBER = "number"
    TEXT = "text"
    TOOLS_REORDERED = "tools in another order"
    TOOL_ADDED = "tool added"
    TOOL_REMOVED = "tool removed"
    KEYS_REORDERED = "keys in another order"
    PARAMETER = "parameter changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of two prompts; it holds no text of either.

    ``segment``: the tool or system block, from 0; ``offset``: the character of it, from 0; ``parameter``: its name,
    where the section is that. ``lost_chars``: what both prompts share behind it.
    """

    section: Section
    segment: int
    offset: int
    what: What
    lost_chars: int
    parameter: str = ""

    def __str__(self) -> str:
        if self.section is Section.PARAMETER:
            return f"parameter {self.parameter} changed"
        place = "a tool" if self.section is Section.TOOLS else "the system text"
        block = f" ({'tool' if self.section is Section.TOOLS else 'block'} {self.segment + 1})" if self.segment else ""
        if self.what in _OF_WHOLE_TOOLS:
            return f"{self.what} from tool {self.segment + 1} on"
        return f"{self.what} in {place}{block} at character {self.offset}"

    @property
    def fix(self) -> str:
        """What to change, in one sentence."""
        return _FIXES[self.what].format(what=self.what, parameter=self.parameter)


_OF_WHOLE_TOOLS = frozenset({What.TOOLS_REORDERED, What.TOOL_ADDED, What.TOOL_REMOVED})
_MOVE = "Move the {what} behind what stays the same: to the end of the system text, or into the last message."
_FIXES = {
    What.TIMESTAMP: _MOVE,
    What.DATE: "Move the date to the end of the system text or into the last message; it ends the cache once a day.",
    What.UUID: _MOVE,
    What.RANDOM_ID: _MOVE,
    What.NUMBER: _MOVE,
    What.TEXT: "Move what changes from request to request behind what stays the same.",
    What.TOOLS_REORDERED: "Sort the tools, by name for example, before they are sent.",
    What.TOOL_ADDED: "Send the same tools each time, or append new ones at the end of the list.",
    What.TOOL_REMOVED: "Send the same tools each time, and forbid single ones by tool_choice or in the last message.",
    What.KEYS_REORDERED: "Write the JSON of tools with its keys in one order: hash maps of some languages have none.",
    What.PARAMETER: "Keep {parameter} the same through a conversation.",
}

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_WRITTEN_OUT = rf"\d{{1,2}}\.? {_MONTH},? \d{{4}}|{_MONTH} \d{{1,2}},? \d{{4}}"
_DATE = rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|{_WRITTEN_OUT})"
_TIME = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AaPp][Mm]\b| ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
_CHANGING = {
    What.UUID: r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    What.TIMESTAMP: rf"{_DATE}(?:[T ,]|,? at )+{_TIME}|\b{_TIME}|\b1[0-9]{{9}}(?:\.\d+|\d{{3}}|\d{{6}})?\b",
    What.DATE: rf"{_DATE}\b",
    # Letters and digits mixed, 8 or more; a word with a digit at its end (`gpt4`) is no id.
    What.RANDOM_ID: r"\b(?=[A-Za-z0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])(?=(?:[A-Za-z]*[0-9]){2})[A-Za-z0-9]{8,}\b",
    What.NUMBER: r"\b\d+(?:[.,]\d+)*\b",
}
_ANY = re.compile("|".join(f"(?P<{what.name}>{pattern})" for what, pattern in _CHANGING.items()))
_AROUND = 64  # no changing value is longer
_DIFFERENCES_AT_MOST = 64  # in one text; what stands behind more of them is compared from its end


def difference(before: Opening, now: Opening) -> Difference | None:
    """The first difference of two openings; None where they are the same."""
    return _in_tools(before, now) or _in_system(before, now) or _in_params(before, now)


def _in_tools(before: Opening, now: Opening) -> Difference | None:
    at = _first(before.tools, now.tools)
    if at is None:
        return None
    behind = _shared(before.system, now.system)
    what = _of_whole_tools(before.tools, now.tools, at)
    if what is None:
        behind += _shared(before.tools[at + 1 :], now.tools[at + 1 :])
        return _in_text(Section.TOOLS, at, before.tools[at], now.tools[at], behind)
    known = set(before.tools)
    lost = sum(len(tool) for tool in now.tools[at:] if tool in known) + behind
    return Difference(Section.TOOLS, at, 0, what, lost)


def _of_whole_tools(before: Sequence[str], now: Sequence[str], at: int) -> What | None:
    """What happened to the list of tools from ``at`` on; None where one tool was changed in place."""
    if sorted(before) == sorted(now):
        return What.TOOLS_REORDERED
    if at == len(before) or (before[at] in now and (at == len(now) or now[at] not in before)):
        return What.TOOL_ADDED
    if at == len(now) or (now[at] in before and before[at] not in now):
        return What.TOOL_REMOVED
    return What.TOOLS_REORDERED if before[at] in now else None


def _in_system(before: Opening, now: Opening) -> Difference | None:
    at = _first(before.system, now.system)
    if at is None:
        return None
    old, new = (texts[at] if at < len(texts) else "" for texts in (before.system, now.system))
    return _in_text(Section.SYSTEM, at, old, new, _shared(before.system[at + 1 :], now.system[at + 1 :]))


def _in_params(before: Opening, now: Opening) -> Difference | None:
    old, new = dict(before.params), dict(now.params)
    changed = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    if not changed:
        return None
    first = min(changed, key=lambda name: (name not in SHAPES_SYSTEM, name))
    # What was said before is read again in the same conversation alone.
    said = min(before.said_chars, now.said_chars) if before.conversation == now.conversation else 0
    lost = said + (sum(map(len, now.system)) if first in SHAPES_SYSTEM else 0)
    return Difference(Section.PARAMETER, 0, 0, What.PARAMETER, lost, first)


def _in_text(section: Section, segment: int, old: str, new: str, behind: int) -> Difference:
    """The first difference inside one text; ``behind``: the characters shared by the segments after it."""
    at = common_prefix(old, new)
    if section is Section.TOOLS and _same_json(old, new):
        return Difference(section, segment, at, What.KEYS_REORDERED, len(new) - at + behind)
    value = _changing_value(old, new, at, at)
    offset, what = (value.new[0], value.what) if value else (at, What.TEXT)
    return Difference(section, segment, offset, what, _alike(old, new, at) + behind)


def reach(opening: Opening, told: Difference) -> int:
    """The characters of an opening before a difference."""
    texts = [*opening.tools, *opening.system]
    index = {Section.TOOLS: told.segment, Section.SYSTEM: len(opening.tools) + told.segment}.get(
        told.section, len(texts)
    )
    return sum(map(len, texts[:index])) + told.offset


def excerpt(opening: Opening, told: Difference) -> str:
    """The text around a difference, for who asked to see it; empty for a parameter."""
    texts = {Section.TOOLS: opening.tools, Section.SYSTEM: opening.system}.get(told.section, ())
    text = texts[told.segment] if told.segment < len(texts) else ""
    return text[max(told.offset - 30, 0) : told.offset + 50]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that changes by itself, as (start, end) in the old text and in the new one."""

    what: What
    old: tuple[int, int]
    new: tuple[int, int]


def _changing_value(old: str, new: str, old_at: int, new_at: int) -> _Value | None:
    """The value that parts two texts at these places; None where it is text."""
    first, second = _covering(old, old_at), _covering(new, new_at)
    if first is None or second is None or first[0] is not second[0]:
        return None
    return _Value(first[0], first[1:], second[1:])


def _covering(text: str, at: int) -> tuple[What, int, int] | None:
    start = max(at - _AROUND, 0)
    for match in _ANY.finditer(text[start : at + _AROUND]):
        if start + match.start() <= at <= start + match.end():
            return What[str(match.lastgroup)], start + match.start(), start + match.end()
    return None


def _alike(old: str, new: str, at: int) -> int:
    """Characters that both texts share from ``at`` on, what changes by itself counted where it stands in both."""
    old_at = new_at = at
    shared = 0
    for _ in range(_DIFFERENCES_AT_MOST):
        same = common_prefix(old, new, old_at, new_at)
        old_at, new_at, shared = old_at + same, new_at + same, shared + same
        if old_at == len(old) or new_at == len(new):
            return shared
        value = _changing_value(old, new, old_at, new_at)
        if value is None or value.new[1] <= new_at or value.old[1] <= old_at:
            break
        shared += value.new[1] - new_at
        old_at, new_at = value.old[1], value.new[1]
    return shared + common_prefix(old[old_at:][::-1], new[new_at:][::-1])


def _shared(before: Sequence[str], now: Sequence[str]) -> int:
    """Characters that these segments share, each with the one in its place."""
    return sum(len(new) if old == new else _alike(old, new, 0) for old, new in zip(before, now, strict=False))


def _first(before: Sequence[str], now: Sequence[str]) -> int | None:
    """The index of the first segment that differs; None: they are the same."""
    if before == now:
        return None
    pairs = enumerate(zip(before, now, strict=False))
    return next((at for at, (old, new) in pairs if old != new), min(len(before), len(now)))


def _same_json(old: str, new: str) -> bool:
    try:
        return bool(orjson.loads(old) == orjson.loads(new))
    except ValueError:
        return False


def common_prefix(old: str, new: str, old_at: int = 0, new_at: int = 0) -> int:
    """How many characters two texts have in common from these places on: by halves, since slices compare fast."""
    low, high = 0, min(len(old) - old_at, len(new) - new_at)
    while low < high:
        middle = (low + high + 1) // 2
        if old[old_at + low : old_at + middle] == new[new_at + low : new_at + middle]:
            low = middle
        else:
            high = middle - 1
    return low
