"""YAML that knows its lines: every value of a file can be pointed at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from fivelevers.errors import Problem

# PyYAML lets its own errors through: a date of month 13, a tag that its value does not fit, too many levels.
_NOT_YAML = (yaml.YAMLError, ValueError, AttributeError, RecursionError)
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: its plain ``value``, and the ``node`` tree that knows where each part of it stands."""

    file: str
    value: Any
    node: yaml.Node | None
    problems: tuple[Problem, ...] = ()

    def has(self, path: Path) -> bool:
        return self._find(path)[1] == len(path)

    def at(self, path: Path) -> Any:
        """The value at ``path``, None where nothing is."""
        value = self.value
        for part in path:
            value = _within(value, part)
        return value

    def line(self, path: Path) -> int | None:
        """The line of the value at ``path``, or of the nearest that is there around it; None in an empty file."""
        mark = self._find(path)[0]
        return None if mark is None else mark.line + 1

    def dotted(self, path: Path) -> str:
        """As people write it, list items by the names that they have: `routes.support.match`, `routes[2].name`."""
        text, value = "", self.value
        for part in path:
            value = _within(value, part)
            name = _name(value) if isinstance(part, int) else str(part)
            text += f".{name}" if name else f"[{part}]"
        return text.lstrip(".")

    def problem(self, path: Path, value: object, rule: str, fix: str) -> Problem:
        """A problem with what stands, or is missing, at ``path``."""
        return Problem(self.dotted(path), value, rule, fix, self.file, self.line(path))

    def _find(self, path: Path) -> tuple[yaml.Mark | None, int]:
        """The mark of the deepest part that is there (a mapping's key, a list's item), and how deep that is."""
        node, mark = self.node, self.node.start_mark if self.node else None
        for depth, part in enumerate(path):
            if isinstance(node, yaml.MappingNode):
                # The last one counts: what `<<` merges in stands before the mapping's own keys.
                found = [(key, value) for key, value in node.value if _key(key) == str(part)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = [(node.value[part], node.value[part])]
            else:
                found = []
            if not found:
                return mark, depth
            mark, node = found[-1][0].start_mark, found[-1][1]
        return mark, len(path)


def read_document(text: str, file: str) -> Document:
    """The document, with a problem for each key that stands twice; or no value and the problem that it is no YAML."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        doubles = list(_doubles(node, (), set()))
        value = None if node is None else loader.construct_document(node)
    except _NOT_YAML as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        lines = text.splitlines() or [""]
        line = None if mark is None else min(mark.line + 1, len(lines))
        problem = Problem("", lines[(line or 1) - 1], "is not YAML", _one_line(error), file, line)
        return Document(file, None, None, (problem,))
    document = Document(file, value, node)
    problems = (
        Problem(document.dotted(path), path[-1], f"is a key already on line {first}", "keep one", file, second)
        for path, first, second in doubles
    )
    return replace(document, problems=tuple(problems))


def _within(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _name(item: Any) -> str | None:
    """What a list's item is called by its author, if it is called anything that can stand in a path."""
    names = (item.get(key) for key in ("name", "model_name")) if isinstance(item, dict) else ()
    return next((name for name in names if isinstance(name, str) and re.fullmatch(r"[\w-][\w./*-]*", name)), None)


class _Loader(yaml.SafeLoader):
    """Plain values only; its own class so that nothing that others register on SafeLoader reaches us."""


def _one_line(error: BaseException) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        return f"{error.context}: {error.problem}" if error.context else error.problem
    return " ".join(str(error).split()) or type(error).__name__


def _key(node: yaml.Node) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _doubles(node: yaml.Node | None, path: Path, seen: set[int]) -> Iterator[tuple[Path, int, int]]:
    """Keys that stand twice in one mapping, of which YAML would take the last: path, line of the first, line."""
    if node is None or id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            yield from _doubles(item, (*path, at), seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name = _key(key)
            if name is not None:
                line = key.start_mark.line + 1
                if name in first:
                    yield (*path, name), first[name], line
                first.setdefault(name, line)
                yield from _doubles(value, (*path, name), seen)
