"""Two answers agree where they say the same, and in doubt they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.routing.agreement import agree
from fivelevers.output import Output, ToolCall


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ghent", " ghent. ", True),
        ("Ghent", "Antwerp", False),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ("null", "Null.", False),
        ("So 17 * 23 = 391, and 391 + 4 = 395.", "First 391.\nThe answer is 395", True),
        ("12 + 30 = 42", "12 + 30 = 43", False),
        (r"Hence \boxed{x+1}.", "Final answer: x+1", True),
        ("Bob was born in 1998", "Alice was born in 1998", False),
        ("It is -4", "It is 4", False),
        ("The answer is 1,000", "answer: 1000", True),
        ("", "", False),
        ("...", "!", False),
    ],
)
def test_what_is_the_same(one: str, other: str, same: bool) -> None:
    assert agree(Output(one), Output(other)) is same


@pytest.mark.parametrize(
    ("arguments", "same"),
    [('{"parcel": 4711}', True), ('{ "parcel":4711 }', True), ('{"parcel": 4712}', False), ("", False)],
)
def test_tool_calls_agree_by_name_and_arguments(arguments: str, same: bool) -> None:
    asked = Output("", (ToolCall("look_up", '{"parcel": 4711}'),))
    assert agree(asked, Output("I look.", (ToolCall("look_up", arguments),))) is same
    assert not agree(asked, Output("", (ToolCall("delete", arguments),)))
    assert not agree(asked, Output("Parcel 4711"))


@given(st.text(), st.text())
def test_the_order_does_not_matter(one: str, other: str) -> None:
    assert agree(Output(one), Output(other)) == agree(Output(other), Output(one))


def test_a_result_that_is_merely_spoken_of_is_no_final_answer() -> None:
    assert not agree(Output("One result of many.\nA"), Output("Another result of many.\nB"))
