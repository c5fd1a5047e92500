"""Calls come out in the order in which they were sent, however they came in and however little memory there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit.arrival import in_order
from tests.unit.audit.logged import call

BODY = {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}


@given(st.lists(st.integers(0, 50)), st.integers(1, 40))
def test_sorted_by_time_and_stable(times: list[int], at_once: int) -> None:
    calls = [call(float(at), body=BODY, input=number) for number, at in enumerate(times, 1)]
    assert list(in_order(calls, at_once)) == sorted(calls, key=lambda one: one.at)
