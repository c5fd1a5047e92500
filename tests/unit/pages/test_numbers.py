"""Numbers as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.pages.numbers import MINUS, count, day, dollars, on_axis, percent, signed, ticks


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.0000"),
        ("-0.00001", "$0.0000"),
        ("1.23456", "$1.2346"),
        ("-12.5", f"{MINUS}$12.50"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_dollars(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


def test_a_step_has_a_sign_unless_it_is_nothing() -> None:
    assert [signed(Decimal(usd)) for usd in ("1", "-1", "0")] == ["+$1.0000", f"{MINUS}$1.0000", "$0.0000"]


def test_counts_shares_and_days() -> None:
    assert [count(n) for n in (99_999, 123_456, 1_234_567, 2e9)] == ["99,999", "123 k", "1.23 M", "2.00 G"]
    assert (percent(0.1234), percent(-0.5, 0), day(1793491200.0)) == ("12.3 %", f"{MINUS}50 %", "1 Nov")


@given(top=st.floats(min_value=1e-9, max_value=1e12))
def test_ticks_are_few_round_numbers_that_reach_the_top(top: float) -> None:
    marks = ticks(top)
    assert marks[0] == 0
    assert marks[-1] >= top * 0.999
    assert marks[-1] <= 2 * top
    assert 2 <= len(marks) <= 6


@given(top=st.floats(min_value=1e-6, max_value=1e9))
def test_no_two_ticks_read_the_same(top: float) -> None:
    marks = ticks(top)
    assert len({on_axis(mark, marks[1]) for mark in marks}) == len(marks)
