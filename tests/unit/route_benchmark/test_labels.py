"""Checks of answers, as a benchmark applies them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from fivelevers.errors import ValidatorError
from fivelevers.metering.validators import compiled
from fivelevers.output import Output
from fivelevers.policy import Validator
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Case
from fivelevers.route_benchmark.labels import Checks

CASE = Case(Api.CHAT, {"messages": []}, "2 + 2?", "sums", "Four.", {"sum": 4})


def grade(checks: Checks, text: str) -> bool | None:
    return asyncio.run(checks.grade(CASE, {"m": Output(text)}))["m"]


@pytest.mark.parametrize(("text", "right"), [("four", True), (" **Four** ", True), ("five", False), ("", False)])
def test_exact_but_for_looks(text: str, right: bool) -> None:
    assert grade(Checks(exact=True), text) is right


def test_an_entry_point_gets_the_answer_and_the_line() -> None:
    def entry(output: Output, line: Mapping[str, Any]) -> object:
        return str(line["sum"]) in output.text

    assert grade(Checks(python=("a:b", entry)), "It is 4") is True
    assert grade(Checks(python=("a:b", entry)), "It is 5") is False


def test_a_check_that_can_not_do_its_work_ends_it() -> None:
    """Else it would spend the whole budget and label nothing."""
    with pytest.raises(ValidatorError, match="python: a:b returned NoneType; return True or False"):
        grade(Checks(python=("a:b", lambda output, line: None)), "4")
    with pytest.raises(ValidatorError, match=r"python: KeyError at .*test_labels\.py"):
        grade(Checks(python=("a:b", lambda output, line: line["product"])), "4")


def test_all_checks_have_to_pass() -> None:
    named = compiled([Validator(regex="[0-9]")], lambda path: None)
    assert grade(Checks(named, exact=True), "four") is False
    assert grade(Checks(named), "4") is True
