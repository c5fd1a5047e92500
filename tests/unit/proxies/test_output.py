"""What an answer says, in every shape that LiteLLM has for it."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fivelevers.output import Output, ToolCall

SCHEMA = {"type": "object"}


def chat(**message: Any) -> SimpleNamespace:
    return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(**message))])


def part(kind: str, text: str) -> dict[str, str]:
    return {"type": kind, "text": text}


@pytest.mark.parametrize(
    ("response", "output"),
    [
        (chat(content="yes"), Output("yes")),
        (chat(content=None, tool_calls=None), Output("")),
        (
            chat(content="", tool_calls=[SimpleNamespace(function=SimpleNamespace(name="find", arguments="{}"))]),
            Output("", (ToolCall("find", "{}"),)),
        ),
        (
            chat(content=None, tool_calls=[{"type": "custom", "custom": {"name": "shell", "input": "ls"}}]),
            Output("", (ToolCall("shell", "ls"),)),
        ),
        (
            chat(content=None, function_call=SimpleNamespace(name="old", arguments='{"a": 1}')),
            Output("", (ToolCall("old", '{"a": 1}'),)),
        ),
        (
            SimpleNamespace(output=[
                SimpleNamespace(type="reasoning", summary=[]),
                SimpleNamespace(type="message", content=[part("output_text", "a"), part("refusal", "no")]),
                {"type": "message", "content": [SimpleNamespace(type="output_text", text="b")]},
                SimpleNamespace(type="function_call", name="find", arguments="{}"),
                {"type": "custom_tool_call", "name": "shell", "input": "ls"},
                {"type": "web_search_call", "name": "not the client's"},
            ]),
            Output("ab", (ToolCall("find", "{}"), ToolCall("shell", "ls"))),
        ),
        (SimpleNamespace(data=[]), Output("")),
        (None, Output("")),
    ],
)  # fmt: skip
def test_an_answer_is_its_text_and_its_calls(proxy_server: ModuleType, response: Any, output: Output) -> None:
    from fivelevers.proxies.litellm.reading import output_of

    assert output_of(response) == output


@pytest.mark.parametrize(
    ("data", "at"),
    [({}, 5.0), ({"proxy_server_request": {"arrival_time": 4.0}}, 4.0), ({"proxy_server_request": {}}, 5.0)],
)
def test_a_request_came_when_litellm_took_it(proxy_server: ModuleType, data: dict[str, Any], at: float) -> None:
    from fivelevers.proxies.litellm.reading import arrived_at

    assert arrived_at(data, 5.0) == at
