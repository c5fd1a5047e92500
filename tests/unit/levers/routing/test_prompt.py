"""What decides is the user's own last text, in every API; and what only the same model can go on with is seen."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.levers.routing.needs import Needs, needs_of
from fivelevers.levers.routing.prompt import Tie, goes_on, prompt_of, tie_of
from fivelevers.request import Api

ASKED = {"role": "user", "content": "Where is it?"}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT_CALL = {"role": "assistant", "content": None, "tool_calls": [CALL]}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "In Ghent."}]}
THOUGHT = {
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "There."}],
}


def body(api: Api, *turns: Any, **more: Any) -> dict[str, Any]:
    return {"input" if api is Api.RESPONSES else "messages": list(turns), **more}


@pytest.mark.parametrize(
    ("api", "asked", "text"),
    [
        (Api.CHAT, body(Api.CHAT, {"role": "system", "content": "Be brief."}, ASKED), "Where is it?"),
        (Api.CHAT, body(Api.CHAT, ASKED, CHAT_CALL, {"role": "tool", "content": "Ghent"}), "Where is it?"),
        (Api.MESSAGES, body(Api.MESSAGES, ASKED, USE, RESULT), "Where is it?"),
        (Api.RESPONSES, {"input": "Where is it?", "instructions": "Be brief."}, "Where is it?"),
        (
            Api.RESPONSES,
            body(Api.RESPONSES, {"role": "user", "content": [{"type": "input_text", "text": "Where?"}]}),
            "Where?",
        ),
        (Api.CHAT, body(Api.CHAT, {"role": "user", "content": [
            {"type": "text", "text": "One."}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "Two."},
        ]}), "One.\n\nTwo."),
        (Api.CHAT, body(Api.CHAT, {"role": "user", "content": " "}), None),
        (Api.CHAT, {"messages": 3}, None),
        (Api.RESPONSES, {"previous_response_id": "r"}, None),
    ],
)  # fmt: skip
def test_the_last_text_of_the_users_decides(api: Api, asked: dict[str, Any], text: str | None) -> None:
    assert prompt_of(api, asked) == text


@pytest.mark.parametrize(
    ("api", "asked", "tie"),
    [
        (Api.CHAT, body(Api.CHAT, ASKED), None),
        (Api.CHAT, body(Api.CHAT, ASKED, {"role": "assistant", "content": "There."}, ASKED), None),
        (Api.CHAT, body(Api.CHAT, ASKED, CHAT_CALL, {"role": "tool", "content": "Ghent"}), Tie.TOOL_CALL),
        (Api.CHAT, body(Api.CHAT, ASKED, CHAT_CALL, {"role": "tool", "content": "Ghent"}, ASKED), None),
        (Api.CHAT, body(Api.CHAT, ASKED, {"role": "assistant", "thinking_blocks": [{}]}, ASKED), Tie.THINKING),
        (Api.MESSAGES, body(Api.MESSAGES, ASKED, USE, RESULT), Tie.TOOL_CALL),
        (Api.MESSAGES, body(Api.MESSAGES, ASKED, THOUGHT, ASKED), Tie.THINKING),
        (Api.RESPONSES, body(Api.RESPONSES, ASKED, {"type": "function_call"}, {"type": "function_call_output"}),
         Tie.TOOL_CALL),
        (Api.RESPONSES, body(Api.RESPONSES, ASKED, {"type": "reasoning", "encrypted_content": "x"}, ASKED),
         Tie.THINKING),
        (Api.RESPONSES, {"input": "And?", "previous_response_id": "r"}, Tie.STORED),
        (Api.RESPONSES, {"input": "And?", "conversation": {"id": "c"}}, Tie.STORED),
        (Api.CHAT, body(Api.CHAT, 3, None, {"type": ["odd"]}, {"content": {"role": 1}}), None),
    ],
)  # fmt: skip
def test_what_ties_a_request_to_its_model(api: Api, asked: dict[str, Any], tie: Tie | None) -> None:
    assert tie_of(api, asked) is tie


def test_a_conversation_goes_on_where_a_model_has_spoken() -> None:
    assert not goes_on(Api.CHAT, body(Api.CHAT, ASKED, ASKED))
    assert goes_on(Api.CHAT, body(Api.CHAT, ASKED, {"role": "assistant", "content": "There."}, ASKED))
    assert goes_on(Api.RESPONSES, body(Api.RESPONSES, ASKED, {"type": "function_call"}))


IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
SEEN = {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}


@pytest.mark.parametrize(
    ("api", "asked", "needs"),
    [
        (Api.CHAT, body(Api.CHAT, ASKED, max_tokens=50), Needs(10, 50)),
        (Api.CHAT, body(Api.CHAT, {"role": "user", "content": [IMAGE]}), Needs(10, vision=True)),
        (Api.MESSAGES, body(Api.MESSAGES, SEEN), Needs(10, vision=True)),
        (Api.CHAT, body(Api.CHAT, ASKED, tools=[CALL]), Needs(10, tools=True)),
        (Api.CHAT, body(Api.CHAT, ASKED, response_format={"type": "json_schema"}), Needs(10, schema=True)),
        (Api.CHAT, body(Api.CHAT, ASKED, response_format={"type": "text"}), Needs(10)),
        (Api.RESPONSES, body(Api.RESPONSES, ASKED, text={"format": {"type": "json_object"}}), Needs(10, schema=True)),
        (Api.MESSAGES, body(Api.MESSAGES, ASKED, output_config={"format": {"type": "json_schema"}}),
         Needs(10, schema=True)),
    ],
)  # fmt: skip
def test_what_a_request_needs(api: Api, asked: dict[str, Any], needs: Needs) -> None:
    assert needs_of(api, asked, 10) == needs


@pytest.mark.parametrize(
    ("needs", "model", "lacks"),
    [
        (Needs(100), {}, None),
        (Needs(100, tools=True), {}, "function_calling"),
        (Needs(100, tools=True), {"supports_function_calling": True}, None),
        (Needs(100, vision=True), {"supports_vision": False}, "vision"),
        (Needs(100, schema=True), {"supports_function_calling": True}, "response_schema"),
        (Needs(4000), {"max_input_tokens": 1000}, "context"),  # 1,000 tokens, as is estimated
        (Needs(3000), {"max_input_tokens": 1000}, None),
        (Needs(100, 5000), {"max_output_tokens": 4096}, "output"),
    ],
)
def test_a_model_that_lacks_something_says_what(needs: Needs, model: dict[str, Any], lacks: str | None) -> None:
    assert needs.unmet(model, 0.25) == lacks
