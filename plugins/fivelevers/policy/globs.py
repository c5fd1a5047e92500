"""Globs, and whether one of them accepts all that another accepts."""

from __future__ import annotations

import re
from collections import deque
from fnmatch import translate
from functools import lru_cache

_TOKEN = re.compile(r"\[!?+\]?+[^\]]*\]|.", re.DOTALL)
_ANY_OTHER = "\ue000"  # stands for all characters that neither pattern names
_MAX_STATES = 2_000


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def covers(wide: str, narrow: str) -> bool:
    """Whether ``wide`` matches every string that ``narrow`` matches; False also where it took too long to tell."""
    return escapee(wide, narrow) is None


@lru_cache(maxsize=4096)
def escapee(wide: str, narrow: str) -> str | None:
    """A string that ``narrow`` matches and ``wide`` does not (empty where none was found in time); None: there is none.

    Walks both as automata at once, over one character of each kind that they can tell apart.
    """
    far, near = _TOKEN.findall(wide), _TOKEN.findall(narrow)
    start = (_rest({0}, near), _rest({0}, far))
    alphabet = _alphabet(wide + narrow)
    ways, todo = {start: ""}, deque([start])
    while todo:
        state = todo.popleft()
        if len(near) in state[0] and len(far) not in state[1]:
            return ways[state]
        for char in alphabet:
            following = (_after(state[0], near, char), _after(state[1], far, char))
            if following[0] and following not in ways:
                ways[following] = ways[state] + char
                todo.append(following)
        if len(ways) > _MAX_STATES:
            return ""
    return None


def _alphabet(text: str) -> list[str]:
    """Every named character and its neighbours, where ranges begin and end."""
    codes = {ord(char) + step for char in text for step in (-1, 0, 1)}
    return sorted({chr(code) for code in codes if 0 <= code <= 0x10FFFF} | {_ANY_OTHER})


def _rest(positions: set[int], tokens: list[str]) -> frozenset[int]:
    """With the positions that are reached without a character: a star may match nothing."""
    reached = set[int]()
    for position in positions:
        reached.add(position)
        while position < len(tokens) and tokens[position] == "*":
            position += 1  # noqa: PLW2901
            reached.add(position)
    return frozenset(reached)


def _after(positions: frozenset[int], tokens: list[str], char: str) -> frozenset[int]:
    moved = set[int]()
    for position in positions:
        if position < len(tokens):
            if tokens[position] == "*":
                moved.add(position)
            elif compiled(tokens[position]).match(char):
                moved.add(position + 1)
    return _rest(moved, tokens)
