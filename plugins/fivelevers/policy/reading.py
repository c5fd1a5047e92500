"""From a policy file, and those that it includes, to the policy: every problem at once, each with its file and line."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fivelevers.errors import PolicyError, Problem
from fivelevers.policy.document import Document, read_document
from fivelevers.policy.document import Path as Parts
from fivelevers.policy.explain import Wrong, explain, unknown
from fivelevers.policy.model import DEFAULT_ROUTE, EMPTY, Policy, Route
from fivelevers.policy.rules import Breach, breaches, broken_order

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says. ``policy`` is None where there are problems; ``includes`` are the patterns that it names."""

    policy: Policy | None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    includes: tuple[str, ...] = ()

    def checked(self) -> Policy:
        """Raises PolicyError with every problem found."""
        if self.policy is None:
            raise PolicyError(self.problems)
        return self.policy


@dataclass(frozen=True, slots=True)
class _Rule:
    """A route as it is written: where, and what."""

    document: Document
    path: Parts
    raw: Any


def load(path: Path) -> Policy:
    """The policy of a file. Raises PolicyError."""
    return read(path).checked()


def parse(text: str, file: str = "policy") -> Policy:
    """The policy of a text, which stands in ``file``. Raises PolicyError."""
    return read_text(text, file).checked()


def read(path: Path) -> Reading:
    """Read and check a policy file; never raises."""
    text = _text(path)
    if isinstance(text, str):
        return read_text(text, str(path))
    return Reading(None, (replace(text, fix=f"{text.fix}, or point FIVELEVERS_POLICY at yours"),))


def read_text(text: str, file: str) -> Reading:
    """Check the YAML text of a policy; what it includes is looked for beside ``file``."""
    return _Reader(read_document(text, file)).read()


def _text(path: Path) -> str | Problem:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        return Problem("", path, f"can not be read: {error.strerror or error}", "create it", str(path))
    except UnicodeDecodeError as error:
        return Problem("", error.object[error.start :][:1], str(error.reason), "save it as UTF-8", str(path))


class _Reader:
    """Reads one policy; ``problems`` and ``warnings`` grow as it goes."""

    def __init__(self, main: Document) -> None:
        self.main = main
        self.problems = list(main.problems)
        self.warnings: list[Problem] = []
        self.patterns: list[str] = []
        self.defaults: Mapping[str, Any] = {}

    def read(self) -> Reading:
        raw = self.main.value
        if raw is None:
            return Reading(None, tuple(self.problems)) if self.problems else Reading(EMPTY)
        if not isinstance(raw, dict):
            self.problems.append(self.main.problem((), raw, "is not a mapping", "start with `version: 1`"))
            return Reading(None, tuple(self.problems))
        own = {key: value for key, value in raw.items() if key not in ("routes", "defaults", "include")}
        top = self._valid(Policy, own, self._at(self.main, ()), also=("defaults", "include"))
        self.defaults = self._checked_defaults(raw.get("defaults"))
        rules = self._rules(raw)
        found = [(rule, route) for rule in rules if (route := self._route(rule)) is not None]
        self._check_together(
            [rule for rule, _ in found], [route for _, route in found], strict=raw.get("order") == "strict"
        )
        policy = None
        if top is not None and not self.problems:
            policy = top.model_copy(update={"routes": tuple(route for _, route in found)})
        problems, warnings = (tuple(sorted(told, key=self._place)) for told in (self.problems, self.warnings))
        return Reading(policy, problems, warnings, tuple(self.patterns))

    def _place(self, problem: Problem) -> tuple[bool, str, int]:
        """The file itself first, then what it includes, each from its top."""
        return problem.file != self.main.file, problem.file or "", problem.line or 0

    def _valid(
        self, model: type[Model], raw: Any, place: Callable[[Parts], tuple[Document, Parts] | None],
        also: tuple[str, ...] = (),
    ) -> Model | None:  # fmt: skip
        """The model, or None after its problems are told where ``place`` says (None: elsewhere)."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for wrong in explain(error, model, also):
                at = place(wrong.where)
                if at is not None:
                    self._tell(at, wrong)
            return None

    def _tell(self, at: tuple[Document, Parts], wrong: Wrong) -> None:
        document, path = at
        # A mapping is shown as its author wrote it, without what it inherits.
        value = document.at(path) if isinstance(wrong.value, dict) else wrong.value
        self.problems.append(document.problem(path, value, wrong.rule, wrong.fix))

    @staticmethod
    def _at(document: Document, base: Parts) -> Callable[[Parts], tuple[Document, Parts]]:
        return lambda where: (document, (*base, *where))

    def _checked_defaults(self, raw: Any) -> Mapping[str, Any]:
        """The defaults as far as they are good for routes to inherit."""
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            fix = "write it as a route without name and match"
            self.problems.append(self.main.problem(("defaults",), raw, "is not a mapping", fix))
            return {}
        for key in ("name", "match"):
            if key in raw:
                fix = "say it in each route"
                self.problems.append(self.main.problem(("defaults", key), raw[key], "is no default", fix))
        inherited = {key: value for key, value in raw.items() if key not in ("name", "match")}
        self._valid(Route, {"name": DEFAULT_ROUTE, **inherited}, self._at(self.main, ("defaults",)))
        return inherited

    def _rules(self, raw: Mapping[str, Any]) -> list[_Rule]:
        """All routes in order: the file's own, the included ones, the default."""
        rules = self._listed(self.main)
        last = rules[-1].raw if rules else None
        default = isinstance(last, dict) and last.get("name") == DEFAULT_ROUTE
        own, end = (rules[:-1], rules[-1:]) if default else (rules, [])
        if not any(isinstance(rule.raw, dict) and rule.raw.get("name") == DEFAULT_ROUTE for rule in rules):
            end = [_Rule(self.main, ("routes", len(rules)), {"name": DEFAULT_ROUTE})]
        included = [rule for document in self._included(raw.get("include")) for rule in self._listed(document)]
        return [*own, *included, *end]

    def _listed(self, document: Document) -> list[_Rule]:
        routes = document.value.get("routes")
        if routes is not None and not isinstance(routes, list):
            fix = "write a list: `- name: ...` for each route"
            self.problems.append(document.problem(("routes",), routes, "is not a list", fix))
            return []
        return [_Rule(document, ("routes", index), route) for index, route in enumerate(routes or ())]

    def _included(self, raw: Any) -> Iterator[Document]:
        patterns = [raw] if isinstance(raw, str) else raw or []
        if not isinstance(patterns, list) or not all(_is_path(pattern) for pattern in patterns):
            fix = 'write a list of paths or globs: ["teams/*.yaml"]'
            self.problems.append(self.main.problem(("include",), raw, "is not a list of paths", fix))
            return
        seen = {Path(self.main.file).resolve()}
        for index, pattern in enumerate(patterns):
            for path in self._expanded(pattern, ("include", index)):
                if path.resolve() not in seen:
                    seen.add(path.resolve())
                    yield from self._document(path, ("include", index))

    def _expanded(self, pattern: str, parts: Parts) -> list[Path]:
        """The files that a pattern names now, relative to the including file; sorted."""
        where = str(Path(self.main.file).parent / pattern)
        self.patterns.append(where)
        found = expand(where)
        if not found:
            self.warnings.append(self.main.problem(parts, pattern, "names no file", "correct it, or leave it out"))
        return found

    def _document(self, path: Path, parts: Parts) -> Iterator[Document]:
        """An included file, as far as it may be included."""
        text = _text(path)
        if isinstance(text, Problem):
            self.problems.append(self.main.problem(parts, path, text.rule, "create it, or leave it out"))
            return
        document = read_document(text, str(path))
        self.problems.extend(document.problems)
        if isinstance(document.value, dict):
            for key, value in document.value.items():
                if key != "routes":
                    near = unknown(key, ["routes"]) if key not in _ONLY_ABOVE else f"say it in {self.main.file}"
                    rule = "may not stand in an included file"
                    self.problems.append(document.problem((key,), value, rule, near))
            yield document
        elif document.value is not None:
            self.problems.append(document.problem((), document.value, "is not a mapping", "start with `routes:`"))

    def _route(self, rule: _Rule) -> Route | None:
        if not isinstance(rule.raw, dict):
            fix = "write `- name: ...` with its keys below"
            self.problems.append(rule.document.problem(rule.path, rule.raw, "is not a mapping", fix))
            return None
        before = len(self.problems)
        route = self._valid(Route, _merge(self.defaults, rule.raw), lambda where: self._own(rule, where))
        return route if len(self.problems) == before else None

    def _own(self, rule: _Rule, where: Parts) -> tuple[Document, Parts] | None:
        """Where a wrong value of a route stands; None when it is inherited: the defaults are checked by themselves."""
        own = rule.document.has((*rule.path, *where))
        return (rule.document, (*rule.path, *where)) if own or not self.main.has(("defaults", *where)) else None

    def _check_together(self, rules: list[_Rule], routes: list[Route], *, strict: bool) -> None:
        for breach in breaches(routes):
            self.problems.append(self._problem(rules, breach))
        for breach in broken_order(routes):
            told, problem = self.problems if strict else self.warnings, self._problem(rules, breach)
            if problem not in told:  # inherited by several routes
                told.append(problem)

    def _problem(self, rules: list[_Rule], breach: Breach) -> Problem:
        rule = rules[breach.index]
        document, path = self._own(rule, breach.path) or (self.main, ("defaults", *breach.path))
        problem = document.problem(path, breach.value, breach.rule, breach.fix)
        if breach.first is None:
            return problem
        other = rules[breach.first]
        return replace(problem, rule=f"{problem.rule} ({other.document.file}:{other.document.line(other.path)})")


_ONLY_ABOVE = ("version", "order", "defaults", "include")


def expand(pattern: str) -> list[Path]:
    """The files that a pattern names now, sorted; a plain path names itself, be it there or not."""
    if not glob.has_magic(pattern):
        return [Path(pattern)]
    return sorted(path for path in map(Path, glob.glob(pattern, recursive=True)) if path.is_file())


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _is_path(value: object) -> bool:
    """Text that the system takes for one: no NUL byte, no half of a character."""
    return isinstance(value, str) and value.isprintable()
