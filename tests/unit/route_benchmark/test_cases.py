"""What a call can cost at most, and which lines are one case."""

from __future__ import annotations

import base64
import random
from decimal import Decimal

import pytest

from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Case
from tests.unit.route_benchmark.test_calls import MODEL, Scene, said
from tests.unit.route_benchmark.test_run import made

RANDOM = random.Random(1)
TEXTS = {
    "base64": base64.b64encode(RANDOM.randbytes(3000)).decode(),
    "digits": " ".join("1" for _ in range(1500)),
    "punctuation": "".join(RANDOM.choices("!@#$%^&*()[]{};:,.<>/?~|", k=3000)),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_has_more_tokens_than_its_most(text: str) -> None:
    """As many tokens as bytes is what a tokenizer of bytes makes of it; those of today come close with these."""
    least = len(text.encode()) * Decimal("1e-6") + 50 * Decimal("1e-5")
    case = Case(Api.CHAT, {"messages": [{"role": "user", "content": text}], "max_tokens": 50}, text, "r")
    assert made(Scene(said())).call(case, MODEL).most_usd >= least


def test_tools_are_framed_by_more() -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    plain = Case(Api.CHAT, {"messages": []}, "a", "r")
    tools = Case(Api.CHAT, {"messages": [], "tools": [tool]}, "a", "r")
    benchmark = made(Scene(said()))
    assert benchmark.call(tools, MODEL).most_usd > benchmark.call(plain, MODEL).most_usd + Decimal("1e-3")


def test_the_largest_limit_of_a_request_bounds_its_answer() -> None:
    body = {"messages": [], "max_tokens": 10, "max_completion_tokens": 20}
    assert Case(Api.CHAT, body, "a", "r").limit == 20
    assert Case(Api.RESPONSES, body, "a", "r").limit is None


def test_a_line_that_says_something_else_is_another_case() -> None:
    one, other, same = (Case(Api.CHAT, {}, "a", "r", line={"sum": number}) for number in (4, 5, 4))
    assert one.key == same.key != other.key
