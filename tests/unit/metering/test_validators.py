"""A route's own checks of its answers: what passes, what fails, and what is left unknown."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import SEARCHED_CHARS, CheckBook, Judgement, answers_schema, compiled, judge
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Route, Validator

SUCCESS, FAILURE, UNKNOWN = Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNKNOWN
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
PERSON_SCHEMA = Validator(json_schema=PERSON)
TOOLS = Validator(tool_arguments=True)
SECRET = "the-answer-itself"


def told(*validators: Validator, text: str = "", calls: tuple[ToolCall, ...] = (), tools: Any = None) -> Judgement:
    return judge(compiled(validators, resolve_name), Output(text, calls), tools or {})


def call(arguments: str, schema: Any, name: str = "find") -> Judgement:
    return told(TOOLS, calls=(ToolCall(name, arguments),), tools={"find": schema})


@pytest.mark.parametrize(
    ("text", "outcome", "detail"),
    [
        ('{"name": "Ada", "age": 36}', SUCCESS, None),
        (' {"name": "Ada"}\n', SUCCESS, None),
        ('{"name": 3}', FAILURE, "json_schema: breaks properties/name/type"),
        ('{"age": 36}', FAILURE, "json_schema: breaks required"),
        (f'{{"name": "Ada", "{SECRET}": 1}}', FAILURE, "json_schema: breaks additionalProperties"),
        (f'{{"name": "Ada", "age": "{SECRET}"}}', FAILURE, "json_schema: breaks properties/age/type"),
        ('```json\n{"name": "Ada"}\n```', FAILURE, "json_schema: the text is not JSON"),
        ('{"name": "Ada"', FAILURE, "json_schema: the text is not JSON"),
        ('{"name": NaN}', FAILURE, "json_schema: the text is not JSON"),
        ("", FAILURE, "json_schema: the text is not JSON"),
    ],
)
def test_json_schema(text: str, outcome: Outcome, detail: str | None) -> None:
    assert told(PERSON_SCHEMA, text=text) == Judgement(outcome, detail)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("Ticket TCK-42 is closed.", SUCCESS), ("No ticket.", FAILURE), ("x" * SEARCHED_CHARS + "TCK-1", FAILURE)],
)
def test_regex_is_searched_in_the_beginning_of_the_text(text: str, outcome: Outcome) -> None:
    assert told(Validator(regex=r"TCK-\d+"), text=text).outcome is outcome


@pytest.mark.parametrize(
    ("arguments", "outcome", "detail"),
    [
        ('{"name": "Ada"}', SUCCESS, None),
        ('{"name": 1}', FAILURE, "tool_arguments: call 1 of 1 has arguments that break `type`"),
        ("{}", FAILURE, "tool_arguments: call 1 of 1 has arguments that break `required`"),
        ("", FAILURE, "tool_arguments: call 1 of 1 has arguments that break `required`"),
        ('{"name": ', FAILURE, "tool_arguments: call 1 of 1 has arguments that are not JSON"),
    ],
)
def test_tool_arguments(arguments: str, outcome: Outcome, detail: str | None) -> None:
    assert call(arguments, PERSON) == Judgement(outcome, detail)


def test_every_call_is_looked_at() -> None:
    good, bad = ToolCall("find", '{"name": "Ada"}'), ToolCall("find", "[]")
    assert told(TOOLS, calls=(good, good), tools={"find": PERSON}).outcome is SUCCESS
    assert told(TOOLS, calls=(good, bad), tools={"find": PERSON}).detail == (
        "tool_arguments: call 2 of 2 has arguments that break `type`"
    )


def test_a_tool_that_the_request_does_not_have_is_a_failure() -> None:
    assert call("{}", {}, name="invented").detail == (
        "tool_arguments: call 1 of 1 is of a tool that the request does not have"
    )


def test_an_answer_without_calls_says_nothing_about_its_arguments() -> None:
    assert told(TOOLS, text="Which file do you mean?") == Judgement(UNKNOWN)
    assert told(TOOLS, Validator(regex="file"), text="Which file do you mean?").outcome is SUCCESS


def test_a_tool_without_a_schema_of_its_own_is_not_judged() -> None:
    assert call("free text", None) == Judgement(UNKNOWN)
    assert told(TOOLS, calls=(ToolCall("find", "{}"), ToolCall("free", "text")), tools={"find": {}, "free": None}) == (
        Judgement(UNKNOWN)
    )


def test_all_must_pass_and_the_first_that_fails_is_told() -> None:
    first, second = Validator(regex="a"), Validator(regex="b")
    assert told(first, second, text="ab").outcome is SUCCESS
    assert told(first, PERSON_SCHEMA, second, text="a").detail == "json_schema: the text is not JSON"


def says_true(output: Output) -> bool:
    return output.text == "yes"


def says_nothing(output: Output) -> None: ...


def leaves(output: Output) -> bool:
    raise SystemExit(3)


def breaks(output: Output) -> bool:
    raise KeyError(output.text)


def python(function: Callable[..., Any] | str) -> Validator:
    return Validator(python=function if isinstance(function, str) else f"{__name__}:{function.__name__}")


def test_an_entry_point_decides() -> None:
    assert told(python(says_true), text="yes") == Judgement(SUCCESS)
    assert told(python(says_true), text="no") == Judgement(FAILURE, f"python: {__name__}:says_true said False")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (says_nothing, "returned NoneType; return True or False"),
        (leaves, "python: SystemExit at "),
        (breaks, "test_validators.py:"),
        ("no_such_package:check", "No module named 'no_such_package'"),
        ("os:sep", "os:sep is not callable"),
        ("os:no_such_function", "no_such_function"),
    ],
)
def test_an_entry_point_that_can_not_decide_leaves_it_unknown(path: Any, problem: str) -> None:
    for others in ((), (Validator(regex="yes"),)):
        found = told(python(path), *others, text="yes")
        assert found.outcome is UNKNOWN
        assert problem in str(found.problem)
    assert told(python(path), Validator(regex="no"), text="yes").outcome is FAILURE


def test_checks_are_compiled_once_for_each_policy() -> None:
    resolved = []

    def resolve(path: str) -> Any:
        resolved.append(path)
        return says_true

    route, book = Route(name="a", validators=(python(says_true),)), CheckBook(resolve)
    for policy in ("one", "one", "two", "one"):
        assert judge(book.of(policy, route), Output("yes"), {}).outcome is SUCCESS
    assert len(resolved) == 2


# Schemas of tools are a stranger's.


def test_no_reference_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(*args: Any, **kwargs: Any) -> Any:
        tried.append(args)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "socket", refuse)
    found = call("{}", {"$ref": "http://127.0.0.1:9/schema.json"})
    own = told(Validator(json_schema={"$ref": "http://127.0.0.1:9/schema.json"}), text="{}")
    assert not tried
    assert own.outcome is UNKNOWN
    assert found.outcome is UNKNOWN
    assert "ReferencingError" in str(found.problem)


def test_an_error_says_nothing_of_the_answer() -> None:
    assert SECRET not in str(told(python(breaks), text=SECRET).problem)


def test_no_regular_expression_of_a_stranger_is_run() -> None:
    """This one takes longer than the universe has existed."""
    slow, text = "^(a|a|b?a)*$", orjson.dumps("a" * 4000 + "!").decode()
    assert call(text, {"pattern": slow}) == Judgement(UNKNOWN)
    assert call(f"{{{text}: 1}}", {"patternProperties": {slow: {}}, "additionalProperties": False}) == (
        Judgement(UNKNOWN)
    )


def test_what_is_not_judged_hides_no_other_failure_and_makes_none() -> None:
    schema = {"properties": {"day": {"pattern": "^20"}}, "required": ["day", "name"]}
    assert call('{"day": "2026"}', schema).outcome is FAILURE
    assert call('{"day": "2026", "name": 1}', schema).outcome is UNKNOWN
    assert call("{}", {"not": {"type": "object"}}).outcome is FAILURE
    assert call('{"day": "1999"}', {"properties": {"day": {"not": {"pattern": "^20"}}}}).outcome is UNKNOWN


def test_a_schema_that_grows_without_end_is_given_up() -> None:
    doubling = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)}
    found = call("{}", {"$defs": {**doubling, "a60": {}}, "$ref": "#/$defs/a0"})
    assert found.outcome is UNKNOWN
    assert "given up" in str(found.problem)
    assert call("[]", {"$ref": "#"}).outcome is UNKNOWN


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(["type", "properties", "required", "items", "anyOf", "not", "enum", "minimum", "$ref"])


@given(st.dictionaries(KEYWORDS, ANY_JSON, max_size=4), st.text(max_size=20) | ANY_JSON.map(repr))
def test_no_schema_and_no_arguments_raise(schema: Any, arguments: str) -> None:
    assert call(arguments, schema).outcome in Outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [('{"a": 1}', "success"), ('{"a": "x"}', "failure"), ("no JSON", "failure"), ('```json\n{"a": 1}\n```', "failure")],
)
def test_a_request_s_own_schema_is_held_against_the_text(text: str, outcome: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert answers_schema(schema, Output(text)).outcome == outcome


def test_of_a_stranger_s_schema_no_pattern_is_run() -> None:
    found = answers_schema({"type": "string", "pattern": "(a+)+$"}, Output('"' + "a" * 60 + '!"'))
    assert found.outcome == "unknown"
