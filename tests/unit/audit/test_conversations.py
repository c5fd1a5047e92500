"""Replies show who was waited for; the same opening, the same question and many examples do not."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.audit.conversations import REPLY_S, Conversations, Turn
from fivelevers.request import Api, parse


def said(role: str, text: Any) -> dict[str, Any]:
    return {"role": role, "content": text}


def turns(*bodies: dict[str, Any], api: Api = Api.MESSAGES, gap_s: float = 60, scope: str = "key") -> list[bool]:
    """Whether each call was of a live conversation."""
    talk = Conversations()
    return [t.live for t in [talk.see(scope, parse(api, body), n * gap_s) for n, body in enumerate(bodies)]]


FIRST = [said("user", "When?")]
SECOND = [*FIRST, said("assistant", "At ten."), said("user", "And on Sunday?")]
THIRD = [*SECOND, said("assistant", "Closed."), said("user", "Thanks")]


def test_a_reply_shows_in_both_calls_whatever_the_time_in_the_system_prompt() -> None:
    bodies = [{"system": f"It is {n}.", "messages": m} for n, m in enumerate((FIRST, SECOND, THIRD))]
    assert turns(*bodies) == [True, True, True]
    assert turns(bodies[0], bodies[2]) == [True, True]  # a turn between them is not in the log
    assert turns(*bodies, gap_s=REPLY_S + 1) == [False, False, False]


def test_other_questions_and_examples_are_no_replies() -> None:
    assert turns({"messages": FIRST}, {"messages": FIRST}, {"messages": [said("user", "Where?")]}) == [False] * 3
    shots = [said("user", "2 + 2"), said("assistant", "4")]
    asked = [{"messages": [*shots, said("user", f"{n} + {n}")]} for n in range(5)]
    assert turns(*asked) == [False] * 5
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turns({"messages": [said("user", blocks[:1])]}, {"messages": [said("user", blocks)]}) == [False, False]


def test_agents_reply_through_tools_in_every_api() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"}
    result = {"type": "function_call_output", "call_id": "1", "output": "x"}
    thought = {"type": "reasoning", "summary": []}
    assert turns({"input": FIRST}, {"input": [*FIRST, thought, call, result]}, api=Api.RESPONSES) == [True, True]
    used = said("assistant", [{"type": "tool_use", "id": str(n), "name": "f", "input": {}} for n in range(4)])
    given = said("user", [{"type": "tool_result", "tool_use_id": str(n), "content": "x"} for n in range(4)])
    assert turns({"messages": FIRST}, {"messages": [*FIRST, used, given]}) == [True, True]
    asks = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]}
    answer = {"role": "tool", "tool_call_id": "1", "content": "x"}
    assert turns({"messages": FIRST}, {"messages": [*FIRST, asks, answer]}, api=Api.CHAT) == [True, True]


def test_another_key_replies_to_nobody_here() -> None:
    talk = Conversations()
    first = talk.see("one", parse(Api.CHAT, {"messages": FIRST}), 0)
    second = talk.see("other", parse(Api.CHAT, {"messages": SECOND}), 1)
    assert not first.live
    assert not second.live


@pytest.mark.parametrize("at_most", [1, 3])
def test_no_more_than_the_latest_are_remembered(at_most: int) -> None:
    talk = Conversations(at_most)
    for n in range(10):
        talk.see("key", parse(Api.CHAT, {"messages": [said("user", str(n))]}), n)
    assert len(talk._turns) == at_most
    assert talk.see("key", None, 10) == Turn(10)
    assert len(talk._turns) == at_most
