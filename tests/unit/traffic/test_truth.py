from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.traffic.truth import Truth

FORM = {"studio": "The Clay Room", "amount": 26.82}


@pytest.mark.parametrize(
    ("check", "value", "answer"),
    [
        ("number", 395, "395"),
        ("number", 395, "17 times 23 plus 4 is 395."),
        ("number", 1240.5, "That comes to $1,240.50."),
        ("number", -3, "The result is -3"),
        ("label", "bug", "bug"),
        ("label", "feature_request", " `Feature_Request`.\n"),
        ("contains", "$49", "The Pro plan costs $49 per month."),
        ("contains", "$49", "It is $49."),
        ("contains", "28 days", "You have 28\ndays."),
        ("contains", "cancel subscription", "Settings > Billing > Cancel subscription"),
        ("contains", "2.9 %", "2.9 % plus 30 cents"),
        ("json", FORM, '{"amount": 26.82, "studio": "The Clay Room", "note": null}'),
        ("json", FORM, '```json\n{"studio": "The Clay Room", "amount": 26.820}\n```'),
    ],
)
def test_right_answers_hold(check: str, value: Any, answer: str) -> None:
    assert Truth(check, value).holds(answer)


@pytest.mark.parametrize(
    ("check", "value", "answer"),
    [
        ("number", 395, "I can not compute that."),
        ("number", 395, "395 is near, but the result is 396"),
        ("number", 395, "3950"),
        ("number", 3, "The result is -3"),
        ("label", "bug", "not a bug"),
        ("label", "bug", "billing"),
        ("label", "bug", ""),
        ("contains", "$49", "It costs $490 per year."),
        ("contains", "$49", "It costs $49.50."),
        ("contains", "9.9 %", "The uptime is 99.9 %."),
        ("contains", "5 days", "15 days"),
        ("contains", "0.07", "1,0.07"),
        ("contains", "Dublin", "Dubliners"),
        ("json", FORM, '{"studio": "The Clay Room"}'),
        ("json", FORM, '{"studio": "The Clay Room", "amount": 26.8}'),
        ("json", FORM, "[]"),
        ("json", FORM, "The studio is The Clay Room."),
    ],
)
def test_wrong_answers_do_not_hold(check: str, value: Any, answer: str) -> None:
    assert not Truth(check, value).holds(answer)


@given(
    st.decimals(min_value=-100_000, max_value=100_000, places=2), st.decimals(min_value="0.01", max_value=9, places=2)
)
def test_a_number_holds_for_itself_and_for_no_other(number: Decimal, step: Decimal) -> None:
    truth = Truth("number", float(number))
    assert truth.holds(f"2 + 2 is beside the point, it is {number:,}.")
    assert not truth.holds(f"it is {number + step:,}")


@given(st.from_regex(r"[a-z]{1,6}( [a-z]{1,6}){0,2}", fullmatch=True))
def test_a_fact_holds_as_a_whole_only(fact: str) -> None:
    assert Truth("contains", fact).holds(f"It says: {fact}.")
    assert not Truth("contains", fact).holds(f"x{fact}x")
