"""Validators: what a route itself checks of every answer. Pure; the imports of entry points are handed in.

    json_schema      the text of the answer, all of it and without code fences, is JSON that satisfies the schema
    tool_arguments   the arguments of every tool call are JSON that satisfies the parameters of that tool in the request
    regex            the pattern is found in the first `SEARCHED_CHARS` characters of the text
    python           `package.module:callable`, called with the `Output`, says True or False

The route's own schema and pattern are trusted. The schemas of tools come with the request, from anybody: of those no
reference is fetched, no regular expression is run, and a check that grows beyond `STEPS_AT_MOST` is given up.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import orjson
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator as JsonSchema
from jsonschema.validators import extend, validator_for
from referencing import Registry

from fivelevers.errors import ValidatorError
from fivelevers.metering.outcomes import Outcome
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Route, Validator

SEARCHED_CHARS = 100_000
STEPS_AT_MOST = 50_000

Tools = Mapping[str, Any]  # parameter schemas by name; None where a tool has none (a provider's own, or free text)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one validator found. Unknown: it has nothing to say about this answer. ``why`` holds nothing of it."""

    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all validators of a route found. ``problem`` is the error of one that could not do its work."""

    outcome: Outcome
    detail: str | None = None
    problem: ValidatorError | None = None


Check = Callable[[Output, Tools], Finding]
Resolve = Callable[[str], Any]
PASSED, SILENT = Finding(Outcome.SUCCESS), Finding(Outcome.UNKNOWN)


def compiled(validators: Iterable[Validator], resolve: Resolve) -> tuple[tuple[str, Check], ...]:
    """(name, check) of each validator. ``resolve`` gives the object that an entry point names.

    One that can not be made is kept as a check that raises, so that its route is never reported as checked.
    """
    return tuple((validator.kind, _compiled(validator, resolve)) for validator in validators)


def judge(checks: Sequence[tuple[str, Check]], output: Output, tools: Tools) -> Judgement:
    """Failure when one fails; unknown when one could not do its work or none had anything to say; else success."""
    problem: ValidatorError | None = None
    passed = False
    for name, check in checks:
        try:
            found = check(output, tools)
        except ValidatorError as error:
            problem = error
            continue
        except (Exception, SystemExit) as error:  # an entry point may do anything
            problem = ValidatorError(f"{name}: {_place(error)}")
            continue
        if found.outcome is Outcome.FAILURE:
            return Judgement(Outcome.FAILURE, f"{name}: {found.why}", problem)
        passed = passed or found is PASSED
    return Judgement(Outcome.SUCCESS if passed and problem is None else Outcome.UNKNOWN, None, problem)


def _place(error: BaseException) -> str:
    """The kind of an error and where it came from. Its message, as its traceback, may quote the answer."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}"


def _compiled(validator: Validator, resolve: Resolve) -> Check:
    makers: dict[str, Callable[[Any], Check]] = {
        "json_schema": _json_schema,
        "tool_arguments": lambda _: tool_arguments,
        "regex": _regex,
        "python": lambda path: _python(path, resolve(path)),
    }
    try:
        return makers[validator.kind](getattr(validator, validator.kind))
    except (Exception, SystemExit) as error:
        return _broken(f"{validator.kind}: can not be used: {type(error).__name__}: {error}")


def _broken(why: str) -> Check:
    def check(output: Output, tools: Tools) -> Finding:
        raise ValidatorError(why)

    return check


def _json_schema(schema: dict[str, Any]) -> Check:
    kind = validator_for(schema, default=Draft202012Validator)
    kind.check_schema(schema)
    rules: JsonSchema = kind(schema, registry=Registry())

    def check(output: Output, tools: Tools) -> Finding:
        try:
            value = orjson.loads(output.text)
        except orjson.JSONDecodeError:
            return _failed("the text is not JSON")
        error = next(rules.iter_errors(value), None)
        # The path through the schema is the policy's own text; the error's message would quote the answer.
        return _failed(f"breaks {'/'.join(map(str, error.absolute_schema_path))}") if error else PASSED

    return check


def _regex(pattern: str) -> Check:
    found = re.compile(pattern)

    def check(output: Output, tools: Tools) -> Finding:
        return PASSED if found.search(output.text, 0, SEARCHED_CHARS) else _failed("the pattern is not in the text")

    return check


def _python(path: str, entry: Any) -> Check:
    if not callable(entry):
        raise TypeError(f"python: {path} is not callable; name a function that takes the answer and returns a bool")

    def check(output: Output, tools: Tools) -> Finding:
        said = entry(output)
        if not isinstance(said, bool):  # a forgotten `return` must not fail every answer
            raise ValidatorError(f"python: {path} returned {type(said).__name__}; return True or False")
        return PASSED if said else _failed(f"{path} said False")

    return check


def tool_arguments(output: Output, tools: Tools) -> Finding:
    """The first failure among the calls; an answer without calls, or with one that can not be judged, is unknown."""
    count = len(output.tool_calls)
    findings = [_call(call, tools) for call in output.tool_calls]
    for at, found in enumerate(findings, 1):
        if found.outcome is Outcome.FAILURE:
            return _failed(f"call {at} of {count} {found.why}")
    return PASSED if findings and all(found is PASSED for found in findings) else SILENT


def _call(call: ToolCall, tools: Tools) -> Finding:
    if call.name not in tools:
        return _failed("is of a tool that the request does not have")
    schema = tools[call.name]
    if schema is None:
        return SILENT
    try:
        arguments = orjson.loads(call.arguments or "{}")  # how some providers write "no arguments"
    except orjson.JSONDecodeError:
        return _failed("has arguments that are not JSON")
    return _judged(schema, arguments)


# Keywords of a stranger's schema that may cost more than a step each; an answer that meets one is not judged by it.
_UNJUDGED = frozenset(
    {"pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef"}
)
# Under these a keyword that was not judged could make an error of what is none.
_NEGATING = frozenset({"not", "oneOf", "if", "contains"})


class _Effort:
    """What one check has cost so far, and whether it is whole."""

    def __init__(self) -> None:
        self.steps = 0
        self.whole = True


_effort: ContextVar[_Effort] = ContextVar("fivelevers_validator_effort")
Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _bounded(name: str, keyword: Keyword) -> Keyword:
    def bounded(rules: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        effort = _effort.get()
        effort.steps += 1 + (len(value) if isinstance(value, list | dict) else 0)
        if effort.steps > STEPS_AT_MOST:
            raise ValidatorError(f"tool_arguments: given up after {STEPS_AT_MOST} steps; a tool's schema is too large")
        # additionalProperties runs the patterns of its neighbour.
        if name in _UNJUDGED or (name == "additionalProperties" and "patternProperties" in schema):
            effort.whole = False
            return None
        return keyword(rules, value, instance, schema)

    return bounded


_Bounded: Any = extend(  # type: ignore[no-untyped-call]  # typeshed leaves it unannotated
    Draft202012Validator,
    validators={name: _bounded(name, keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()},
)


def _judged(schema: Any, arguments: Any) -> Finding:
    effort = _Effort()
    token = _effort.set(effort)
    try:
        for error in _Bounded(schema, registry=Registry()).iter_errors(arguments):
            if effort.whole or _NEGATING.isdisjoint(error.absolute_schema_path):
                return _failed(f"has arguments that break `{error.validator}`")
    finally:
        _effort.reset(token)
    return PASSED if effort.whole else SILENT


def answers_schema(schema: Any, output: Output) -> Finding:
    """Whether the text is JSON that satisfies a schema which came with the request. Raises ValidatorError."""
    try:
        value = orjson.loads(output.text)
    except orjson.JSONDecodeError:
        return _failed("the text is not JSON")
    return _judged(schema, value)


def _failed(why: str) -> Finding:
    return Finding(Outcome.FAILURE, why)


class CheckBook:
    """The checks of each route, compiled when its first answer comes. For one thread; ``resolve`` as in `compiled`."""

    _ROUTES_AT_MOST = 1000  # over all policies that were in force: an old one's requests may still be on their way

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._checks: dict[tuple[str, str], tuple[tuple[str, Check], ...]] = {}

    def of(self, policy: str, route: Route) -> tuple[tuple[str, Check], ...]:
        """The checks of a route of the policy with this hash."""
        found = self._checks.get((policy, route.name))
        if found is None:
            if len(self._checks) >= self._ROUTES_AT_MOST:
                self._checks.clear()
            found = self._checks[policy, route.name] = compiled(route.validators, self._resolve)
        return found
