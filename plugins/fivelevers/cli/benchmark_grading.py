"""What tells a benchmark which answers are right: checks, the route's validators, or a judge with a rubric."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import CalibrationError, PolicyError
from fivelevers.metering.validators import compiled
from fivelevers.policy import Route, Validator
from fivelevers.route_benchmark.agreement import Graded
from fivelevers.route_benchmark.labels import Checks, Grader, Judge, LinePython

if TYPE_CHECKING:
    from fivelevers.route_benchmark.calls import Calls
    from fivelevers.route_benchmark.cases import Candidate, Case

_WAYS = "--exact, --regex, --json-schema, --python, or --judge with --rubric"


@dataclass(frozen=True, slots=True)
class Grading:
    """As it stands on the command line; what is empty was not asked for."""

    exact: bool = False
    regex: str = ""
    json_schema: Path | None = None
    python: str = ""
    judge: str = ""
    rubric: Path | None = None
    labels: Path | None = None

    def grader(self, route: Route | None, calls: Calls, judge: Candidate | None) -> Grader:
        """Raises CalibrationError, OSError."""
        if judge is not None:
            return self._judge(calls, judge)
        return self.checks(route)

    def checks(self, route: Route | None) -> Checks:
        """Without a judge. Raises CalibrationError, OSError."""
        if self.rubric is not None or self.labels is not None:
            raise CalibrationError("--judge: is missing; --rubric and --labels are for a model that judges")
        validators = self._validators() or (() if self._own else route.validators if route is not None else ())
        if not validators and not self._own:
            raise CalibrationError(f"nothing says which answers are right; write {_WAYS}, or validators of the route")
        python = (self.python, _entry(self.python)) if self.python else None
        return Checks(compiled(validators, resolve_name), self.exact, python)

    @property
    def _own(self) -> bool:
        return self.exact or bool(self.python)

    def _judge(self, calls: Calls, judge: Candidate) -> Judge:
        if self._own or self.regex or self.json_schema is not None:
            raise CalibrationError(f"--judge: is one way to tell, a check another; write one of {_WAYS}")
        if self.rubric is None:
            raise CalibrationError("--rubric: is missing; name a text that says when an answer passes")
        try:
            text = self.rubric.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CalibrationError(f"--rubric: {self.rubric} is not UTF-8; encode it so") from error
        if not text.strip():
            raise CalibrationError(f"--rubric: {self.rubric} is empty; write when an answer passes")
        return Judge(calls, judge, text)

    def _validators(self) -> tuple[Validator, ...]:
        given: list[dict[str, Any]] = [{"regex": self.regex}] if self.regex else []
        if self.json_schema is not None:
            given.append({"json_schema": _json(self.json_schema)})
        try:
            return tuple(Validator.model_validate(one) for one in given)
        except (ValidationError, PolicyError) as error:
            first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise CalibrationError(f"--regex, --json-schema: {first}") from error

    def sample(self) -> list[Graded]:
        """What people graded. Raises CalibrationError, OSError."""
        if self.labels is None:
            return []
        return [_graded(place, line) for place, line in lines_of(self.labels)]


def check_lines(grading: Grading, cases: Sequence[Case]) -> None:
    """Raises CalibrationError where `--exact` has nothing to compare with."""
    bare = sum(case.expected is None for case in cases)
    if grading.exact and bare:
        raise CalibrationError(f'--exact: {bare:,} of {len(cases):,} prompts have no "answer"; write it in each line')


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    prompt: str
    answer: str
    right: bool
    expected: str | None = None


def _graded(place: str, line: str) -> Graded:
    try:
        return Graded(**_Line.model_validate_json(line).model_dump())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "line"
        fix = 'write {"prompt": "...", "answer": "...", "right": true} in each line'
        raise CalibrationError(f"{place}: {where}: {first['msg']}; {fix}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CalibrationError(f"--json-schema: {path} is no JSON: {error}") from error


def _entry(path: str) -> LinePython:
    """An entry point, of the working directory too. Raises CalibrationError."""
    if not sys.path or sys.path[0] != "":
        sys.path.insert(0, "")
    try:
        found = resolve_name(path)
    except (ValueError, ImportError, AttributeError) as error:
        raise CalibrationError(
            f"--python: {path!r} can not be found: {error}; write package.module:callable"
        ) from error
    if not callable(found):
        raise CalibrationError(f"--python: {path!r} is not callable; name a function of (output, line) -> bool")
    entry: LinePython = found
    return entry
