"""The rest of a request is all of it but one text: whatever else differs, differs there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.question import Question, question_of
from fivelevers.request import Api

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
SEE = {"type": "text", "text": "See:"}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi", "name": "bot"},
        {"role": "user", "name": "ann", "content": [SEE, IMAGE, {"type": "text", "text": "?"}]},
    ],
    "tools": [TOOL],
    "temperature": 0,
    "response_format": {"type": "json_object"},
    "stop": ["x", "y"],
}  # fmt: skip
MESSAGES: dict[str, Any] = {
    "model": "m",
    "system": [{"type": "text", "text": "Be short."}, {"type": "text", "text": "Be kind."}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}]}],
    "tools": [{"name": "look_up", "input_schema": {"type": "object"}}],
    "max_tokens": 10,
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "Be short.",
    "input": [
        {"type": "message", "role": "user", "content": "Hello"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "3"},
        {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}]},
    ],
    "text": {"format": {"type": "text"}},
}
BODIES = [(Api.CHAT, CHAT), (Api.MESSAGES, MESSAGES), (Api.RESPONSES, RESPONSES)]
TEXTS: dict[Api, tuple[Any, ...]] = {
    Api.CHAT: ("messages", 3, "content", 2, "text"),
    Api.MESSAGES: ("messages", 0, "content", 0, "text"),
    Api.RESPONSES: ("input", 3, "content", 0, "text"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def asked(api: Api, body: dict[str, Any]) -> Question:
    found = question_of(api, body)
    assert found is not None
    return found


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of every part of the value, containers too."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, item in items:
        found += paths(item, (*path, key))
    return found


def part(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    part(value, path[:-1])[path[-1]] = new


def meaning(value: Any) -> Any:
    """A value in which what means the same is the same: a text and one block of it, what is null and what is absent."""
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if not isinstance(value, dict):
        return (type(value).__name__, value) if isinstance(value, bool | int | float) else value
    plain = {key: meaning(item) for key, item in value.items()}
    for name in ("content", "system"):
        if isinstance(plain.get(name), str):
            plain[name] = [{"type": "text", "text": plain[name]}]
    if plain.get("type") in ("text", "input_text", "output_text"):
        plain["type"] = "text"
    return {key: item for key, item in plain.items() if item is not None and (key, item) != ("type", "message")}


@given(st.sampled_from(BODIES), st.data())
def test_two_bodies_that_differ_anywhere_else_differ_in_the_rest(of: tuple[Api, Any], data: st.DataObject) -> None:
    api, body = of
    path = data.draw(st.sampled_from([path for path in paths(body) if path != TEXTS[api]]))
    other = copy.deepcopy(body)
    put(other, path, data.draw(JSON | st.sampled_from([part(body, each) for each in paths(body)])))
    assume(meaning(other) != meaning(body))
    before, after = asked(api, body), question_of(api, other)
    if path == TEXTS[api][: len(path)]:  # what held the text was replaced, and it may be gone
        assert after != before
    else:
        assert after is None or after.rest != before.rest


@given(st.sampled_from(BODIES), st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_only_the_last_text_is_blanked(of: tuple[Api, Any], one: str, other: str) -> None:
    api, body = of
    bodies = [copy.deepcopy(body), copy.deepcopy(body)]
    for each, text in zip(bodies, (one, other), strict=True):
        put(each, TEXTS[api], text)
    first, second = (asked(api, each) for each in bodies)
    assert (first.text, second.text) == (one, other)
    assert first.rest == second.rest


@pytest.mark.parametrize(
    "changed",
    [
        {"stream": True}, {"stream_options": {"include_usage": True}}, {"user": "u"}, {"metadata": {"user_id": "u"}},
        {"cache": {"ttl": 5}}, {"prompt_cache_key": "k"}, {"cache_control": {"type": "ephemeral"}}, {"store": False},
        {"litellm_session_id": None}, {"timeout": 5}, {"safety_identifier": "s"}, {"temperature": None},
    ],
)  # fmt: skip
@pytest.mark.parametrize("api", [Api.MESSAGES, Api.RESPONSES])
def test_what_shapes_no_answer_is_left_out(api: Api, changed: dict[str, Any]) -> None:
    body = dict(BODIES)[api]
    assert asked(api, {**body, **changed}) == asked(api, body)


def test_marks_are_left_out_wherever_they_stand() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    marked = copy.deepcopy(MESSAGES)
    for place in (marked["system"][1], marked["messages"][0], marked["messages"][0]["content"][0], marked["tools"][0]):
        place.update(mark)
    assert asked(Api.MESSAGES, marked) == asked(Api.MESSAGES, MESSAGES)


def test_a_text_is_one_block_of_it_and_an_input_is_one_message() -> None:
    block = {**MESSAGES, "messages": [{"role": "user", "content": "What is it?"}]}
    assert asked(Api.MESSAGES, block) == asked(Api.MESSAGES, MESSAGES)
    plain = {"model": "m", "input": "What is it?"}
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is it?"}]}
    assert asked(Api.RESPONSES, plain) == asked(Api.RESPONSES, {"model": "m", "input": [item]})


def test_the_same_body_of_another_api_is_another_request() -> None:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "What is it?"}]}
    assert asked(Api.CHAT, body).rest != asked(Api.MESSAGES, body).rest


def test_a_client_s_namespace_keeps_answers_apart() -> None:
    rests = [asked(Api.CHAT, {**CHAT, "cache": {"namespace": name}}).rest for name in ("a", "b")]
    assert len({*rests, asked(Api.CHAT, CHAT).rest}) == 3


@pytest.mark.parametrize(
    "turns",
    [
        None, [], "text", [7], [{"role": "user"}], [{"role": "user", "content": "  "}],
        [{"role": "user", "content": [IMAGE]}], [{"role": "assistant", "content": "So"}],
        [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}],
        [{"role": "user", "content": [{"type": "text", "text": 7}]}], [{"role": "user", "type": "odd", "content": "a"}],
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]}],
    ],
)  # fmt: skip
def test_no_question_where_no_text_of_the_user_s_stands_last(turns: Any) -> None:
    assert question_of(Api.CHAT, {"messages": turns}) is None


@given(st.sampled_from(list(Api)), st.dictionaries(st.sampled_from(["messages", "input", "system", "tools"]), JSON))
def test_nothing_that_a_client_sends_raises(api: Api, body: dict[str, Any]) -> None:
    question_of(api, body)
