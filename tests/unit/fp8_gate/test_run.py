"""What becomes of answers: which items count, and which are left out."""

from __future__ import annotations

import asyncio

import pytest

from fivelevers.fp8_gate.asking import Answered, Asking, Role
from fivelevers.fp8_gate.run import Evidence, Gate
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import PASSED, Finding, Tools
from fivelevers.output import Output
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Case
from fivelevers.route_benchmark.labels import Checks

CASE = Case(Api.CHAT, {"messages": [{"role": "user", "content": "?"}]}, "?", "chat")
SAYS = {"right": PASSED, "wrong": Finding(Outcome.FAILURE, "is wrong"), "odd": Finding(Outcome.UNKNOWN)}


def check(output: Output, _: Tools) -> Finding:
    return SAYS[output.text]


def judged(*texts: str) -> Evidence:
    """Of an item that was answered so by the original, the candidate, and the original again: no server is asked."""
    asking = Asking({}, {}, lambda _: None, 100, {}, ())
    asking.replay([
        {"asked": role.value, "case": CASE.key, **Answered(Output(text)).record()}
        for role, text in zip(Role, texts, strict=True)
    ])  # fmt: skip
    return asyncio.run(Gate(asking, Checks((("odd", check),)), repeat=1.0, read=0).run([CASE], lambda: None))


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("right", "right", "right"), (True, True, True)),
        (("right", "odd", "right"), (True, False, True)),
        (("odd", "right", "odd"), (False, True, False)),
        (("wrong", "odd", "odd"), (False, False, False)),
    ],
)
def test_what_no_check_speaks_of_is_no_success_beside_one_that_was_checked(
    texts: tuple[str, ...], found: tuple[bool, ...]
) -> None:
    (one,) = judged(*texts).scored
    assert (one.baseline, one.candidate, one.again) == found


def test_where_no_check_speaks_of_either_the_item_is_left_out() -> None:
    found = judged("odd", "odd", "right")
    assert (found.scored, found.unlabelled) == ([], [CASE.key[:12]])
