"""What has state elsewhere, searches, or answers with more than a text is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.cacheable import uncacheable
from fivelevers.request import Api

ASKED = [{"role": "user", "content": "What is it?"}]
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {}}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "3"}
CITED = {"type": "document", "source": {}, "citations": {"enabled": True}}
UPLOAD = {"type": "container_upload", "file_id": "f"}
TEXT = {"type": "text", "text": "What is it?"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def chat(**fields: Any) -> str | None:
    return uncacheable(Api.CHAT, {"model": "m", "messages": ASKED, **fields})


def messages(**fields: Any) -> str | None:
    return uncacheable(Api.MESSAGES, {"model": "m", "max_tokens": 9, "messages": ASKED, **fields})


def responses(**fields: Any) -> str | None:
    return uncacheable(Api.RESPONSES, {"model": "m", "input": "What is it?", **fields})


@pytest.mark.parametrize(
    "why",
    [
        chat(), messages(), responses(),
        chat(n=1, logprobs=False, modalities=["text"], tools=[FUNCTION], temperature=1, reasoning_effort="low"),
        chat(store=False, tools=[], web_search_options=None, functions=[{"name": "f"}]),
        messages(tools=[{"name": "f", "input_schema": {}}], thinking={"type": "disabled"}),
        messages(tools=[{"type": "custom", "name": "f", "input_schema": {}}]), chat(stop=["x"]),
        messages(messages=[{"role": "user", "content": [IMAGE, TEXT]}]),
        messages(messages=[*ASKED, {"role": "assistant", "content": "A cat."}, *ASKED]),
        responses(tools=[{"type": "function", "name": "f", "parameters": {}}], reasoning={"effort": "low"}),
        responses(background=False, store=None, include=[], reasoning={"effort": "low", "summary": None}),
        responses(input=[{"type": "function_call_output", "call_id": "1", "output": "3"}, *ASKED]),
    ],
)  # fmt: skip
def test_a_text_that_depends_on_its_request_alone_is_cacheable(why: str | None) -> None:
    assert why is None


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ("state", responses(previous_response_id="resp_1")),
        ("state", responses(conversation={"id": "conv_1"})),
        ("state", responses(background=True)),
        ("state", responses(store=True)),
        ("state", chat(store=True)),
        ("state", responses(prompt={"id": "pmpt_1"})),
        ("state", responses(context_management=[{"type": "compaction"}])),
        ("state", responses(input=[{"type": "item_reference", "id": "msg_1"}, *ASKED])),
        ("state", chat(prompt_id="p")),
        ("state", messages(container="c")),
        ("state", messages(messages=[{"role": "user", "content": [UPLOAD, TEXT]}])),
        ("hosted_tool", chat(web_search_options={})),
        ("hosted_tool", chat(vector_store_ids=["v"])),
        ("hosted_tool", chat(tools=[FUNCTION, {"type": "mcp", "server_url": "u"}])),
        ("hosted_tool", chat(tools=[{"googleSearch": {}}])),
        ("hosted_tool", messages(tools=[{"type": "web_search_20250305", "name": "web_search"}])),
        ("hosted_tool", messages(tools=[{"type": "code_execution_20250825", "name": "code_execution"}])),
        ("hosted_tool", messages(mcp_servers=[{"url": "u"}])),
        *(("hosted_tool", responses(tools=[{"type": kind}])) for kind in (
            "web_search", "web_search_preview", "file_search", "code_interpreter", "computer_use_preview", "mcp",
            "image_generation", "local_shell",
        )),
        ("several", chat(n=2)),
        ("several", chat(best_of=3)),
        ("logprobs", chat(logprobs=True)),
        ("logprobs", responses(top_logprobs=3)),
        ("audio", chat(modalities=["text", "audio"], audio={"voice": "v"})),
        ("thinking", messages(thinking={"type": "enabled", "budget_tokens": 1024})),
        ("thinking", messages(thinking={"type": "adaptive"})),
        ("thinking", responses(reasoning={"effort": "low", "summary": "auto"})),
        ("thinking", chat(include_reasoning=True)),
        ("include", responses(include=["reasoning.encrypted_content"])),
        ("citations", messages(messages=[{"role": "user", "content": [CITED, TEXT]}])),
        ("stop_sequences", messages(stop_sequences=["x"])),
        ("shape", chat(tools={})),
        ("prefill", messages(messages=[*ASKED, {"role": "assistant", "content": "It is"}])),
        ("tool_result", chat(messages=[*ASKED, {"role": "tool", "tool_call_id": "t", "content": "3"}])),
        ("tool_result", messages(messages=[{"role": "user", "content": [RESULT, TEXT]}])),
        ("tool_result", responses(input=[*ASKED, {"type": "function_call_output", "call_id": "1", "output": "3"}])),
        ("no_question", chat(messages=[])),
        ("no_question", chat(messages=[{"role": "user", "content": [IMAGE]}])),
        ("no_question", chat(messages=[*ASKED, {"role": "system", "content": "Be short."}])),
        ("api", uncacheable(Api.EMBEDDINGS, {"input": "What is it?"})),
        ("api", uncacheable(Api.OTHER, {})),
    ],
)  # fmt: skip
def test_why_the_others_are_not(expected: str, why: str | None) -> None:
    assert why == expected


FIELDS = ["messages", "input", "tools", "n", "thinking", "reasoning", "modalities", "store", "include", "mcp_servers"]


@given(st.sampled_from(list(Api)), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_nothing_that_a_client_sends_raises(api: Api, body: dict[str, Any]) -> None:
    why = uncacheable(api, body)
    assert why is None or why.replace("_", "").isalpha()
