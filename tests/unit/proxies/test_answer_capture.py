"""A text that is complete and all there is to its answer is stored; of anything else it is said why not."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from fivelevers.answer import StoredAnswer
from fivelevers.engine import Answer
from fivelevers.prices import Usage

pytestmark = pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning")  # of LiteLLM's own types
USAGE = Usage(input=11, output=5)
ATTEMPT = Answer(
    at=20.0, started_at=10.0, model="gpt-4.1", provider="openai", provider_key=None, deployment="d1",
    provider_request_id="r", success=True, error=None, finish_reason="stop", usage=USAGE, reported=True,
)  # fmt: skip
THINKING = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
CALL = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def chat(reason: str = "stop", content: str | None = "A cat.", **message: Any) -> Any:
    from litellm.types.utils import Choices, Message, ModelResponse

    return ModelResponse(choices=[Choices(finish_reason=reason, message=Message(content=content, **message))])


def responses(*output: dict[str, Any], status: str = "completed", **fields: Any) -> Any:
    from litellm.types.llms.openai import ResponsesAPIResponse

    return ResponsesAPIResponse(id="resp_1", created_at=1, output=list(output), status=status, **fields)


def item(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": list(parts)}


def part(text: str = "A cat.", **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], **more}


def cut(reason: str) -> Any:
    return responses(item(part()), status="incomplete", incomplete_details={"reason": reason})


def reasoning(**fields: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs", "summary": [], **fields}


def taken(response: Any, attempt: Answer = ATTEMPT, /, **kwargs: Any) -> Any:
    from fivelevers.proxies.litellm.answer_capture import answer_of_log
    from fivelevers.proxies.litellm.reading import finish_reason

    ended = replace(attempt, finish_reason=finish_reason(response))
    return answer_of_log({"litellm_params": {}, **kwargs}, response, ended, expires_at=99.0, tags=("t",))


def test_what_is_stored_of_a_text(proxy_server: ModuleType) -> None:
    expected = StoredAnswer("A cat.", "gpt-4.1", "openai", "d1", USAGE, created_at=20.0, expires_at=99.0, tags=("t",))
    assert taken(chat()) == expected
    assert taken(chat(provider_specific_fields={"refusal": None, "citations": None}, annotations=[])) == expected
    assert taken(chat(reasoning_content="A cat, I think.")) == expected
    assert taken(chat(reason="end_turn")) == expected
    assert taken(responses(item(part(logprobs=[])))) == expected
    assert taken(responses(reasoning(), item(part()))) == expected


def test_why_the_rest_is_not(proxy_server: ModuleType) -> None:
    logged: dict[str, Any] = {"standard_logging_object": {"cache_hit": True}}
    left: dict[str, Any] = {"litellm_params": {"litellm_metadata": {"client_disconnected": True}}}
    whole = item(part())
    assert taken(chat(), **logged) == "hit"
    assert taken(chat(), **left) == "left"
    assert taken(chat(), replace(ATTEMPT, reported=False)) == "unreported"
    assert taken(chat(), replace(ATTEMPT, usage=None)) == "unreported"
    assert taken(chat("length")) == "truncated"
    assert (
        taken(responses(whole, status="incomplete", incomplete_details={"reason": "max_output_tokens"})) == "truncated"
    )
    assert taken(chat("content_filter")) == "filtered"
    assert taken(cut("content_filter")) == "filtered"
    assert taken(chat(provider_specific_fields={"refusal": "I can not."})) == "filtered"
    assert taken(responses(item({"type": "refusal", "refusal": "I can not."}))) == "filtered"
    assert taken(chat("tool_calls", None, tool_calls=CALL)) == "tool_call"
    assert taken(chat("stop", "Let me see.", tool_calls=CALL)) == "tool_call"
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": "{}"}
    assert taken(responses(whole, call)) == "tool_call"
    assert taken(chat("MALFORMED_FUNCTION_CALL")) == "incomplete"
    assert taken(chat("error")) == "incomplete"
    assert taken(responses(whole, status="failed")) == "incomplete"
    assert taken(chat(thinking_blocks=THINKING)) == "reasoning"
    assert taken(responses(reasoning(summary=[{"type": "summary_text", "text": "Hm."}]), whole)) == "reasoning"
    assert taken(responses(reasoning(encrypted_content="x"), whole)) == "reasoning"
    assert taken(chat(provider_specific_fields={"citations": [[{"cited_text": "a"}]]})) == "more"
    assert taken(chat(annotations=[{"type": "url_citation", "url_citation": {"url": "u"}}])) == "more"
    assert taken(responses(item(part(annotations=[{"type": "url_citation", "url": "u"}])))) == "more"
    assert taken(responses(whole, {"type": "web_search_call", "id": "w", "status": "completed"})) == "more"
    assert taken(responses(whole, whole)) == "several"
    assert taken(responses()) == "empty"
    assert taken(chat(content="  ")) == "empty"
    assert taken(chat(content=None)) == "empty"


def test_several_choices_are_not(proxy_server: ModuleType) -> None:
    two = chat()
    two.choices = [*two.choices, *two.choices]
    assert taken(two) == "several"


def test_what_the_log_does_not_hold_is_not(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    import litellm

    monkeypatch.setattr(litellm, "turn_off_message_logging", True)
    assert taken(chat()) == "redacted"
