"""Equal meaning gives equal hashes, different meaning never does, and nothing that a client sends raises."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.request import Api, Request, SegmentKind, canonical_json, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEXT_BLOCK = st.builds(lambda text: {"type": "text", "text": text}, st.text())
BLOCK = TEXT_BLOCK | st.builds(
    lambda url, detail: {"type": "image_url", "image_url": {"url": url, "detail": detail}}, st.text(), st.text()
)
CONTENT = st.text() | st.lists(BLOCK, min_size=1, max_size=4) | st.none()
MESSAGE = st.builds(
    lambda role, content, extra: {"role": role, "content": content, **extra},
    st.sampled_from(["user", "assistant", "system", "tool", "developer"]),
    CONTENT,
    st.dictionaries(st.sampled_from(["name", "tool_call_id", "refusal"]), st.text(), max_size=2),
)
MESSAGES = st.lists(MESSAGE, max_size=6)


def chat(messages: object, **fields: Any) -> Request:
    return parse(Api.CHAT, {"model": "m", "messages": messages, **fields})


def digests(request: Request) -> list[bytes]:
    return [segment.digest for segment in request.segments]


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(item, rng)) for key, item in value.items()]
        rng.shuffle(items)
        return dict(items)
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


@given(MESSAGES, st.dictionaries(st.text(), JSON, max_size=3), st.randoms(use_true_random=False))
def test_key_order_means_nothing(messages: list[Any], tool: dict[str, Any], rng: random.Random) -> None:
    body = {
        "model": "m",
        "messages": messages,
        "tools": [tool],
        "temperature": 0.5,
        "response_format": {"a": 1, "b": 2},
    }
    assert parse(Api.CHAT, body) == parse(Api.CHAT, shuffled(body, rng))


@given(st.text(), st.sampled_from(["user", "assistant", "system"]))
def test_a_string_is_one_text_block(text: str, role: str) -> None:
    assert chat([{"role": role, "content": text}]) == chat(
        [{"role": role, "content": [{"type": "text", "text": text}]}]
    )


@given(st.text())
def test_a_system_string_is_one_text_block_and_responses_input_is_one_user_message(text: str) -> None:
    as_text = parse(Api.MESSAGES, {"system": text, "messages": []})
    as_block = parse(Api.MESSAGES, {"system": [{"type": "text", "text": text}], "messages": []})
    assert as_text == as_block
    plain = parse(Api.RESPONSES, {"input": text})
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    assert digests(plain) == digests(parse(Api.RESPONSES, {"input": [item]}))


def meaning(messages: list[dict[str, Any]]) -> str:
    """The reference: what a model reads, written down the slow way."""
    read = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        read.append({**{k: v for k, v in message.items() if k != "content"}, "content": blocks or None})
    return json.dumps(read, sort_keys=True)


@given(MESSAGES, MESSAGES)
def test_hashes_are_equal_exactly_where_the_meaning_is(one: list[Any], other: list[Any]) -> None:
    assert (digests(chat(one)) == digests(chat(other))) == (meaning(one) == meaning(other))


@given(MESSAGES.filter(bool), st.data())
def test_any_edit_of_a_text_changes_a_hash(messages: list[Any], data: st.DataObject) -> None:
    edited = copy.deepcopy(messages)
    message = data.draw(st.sampled_from(edited))
    if isinstance(message["content"], list):
        message["content"].append({"type": "text", "text": "more"})
    else:
        message["content"] = (message["content"] or "") + "x"
    assert digests(chat(edited)) != digests(chat(messages))


@given(JSON, JSON)
def test_canonical_json_is_injective(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json(one) == canonical_json(other)) == same


def test_one_text_in_two_blocks_is_not_the_same_as_in_one() -> None:
    two = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    apart = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    hashes = [digests(chat(two)), digests(chat(apart)), digests(chat([{"role": "user", "content": "ab"}]))]
    assert len({tuple(h) for h in hashes}) == 3


def test_a_cache_mark_is_kept_beside_the_hash() -> None:
    block = {"type": "text", "text": "long"}
    plain = parse(Api.MESSAGES, {"system": [block], "messages": []})
    marked = parse(
        Api.MESSAGES, {"system": [{**block, "cache_control": {"type": "ephemeral", "ttl": "1h"}}], "messages": []}
    )
    assert digests(plain) == digests(marked)
    assert [s.mark for s in marked.segments] == ["1h"]
    short = parse(Api.MESSAGES, {"tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}], "messages": []})
    assert short.segments[0].mark == "5m"
    assert short.segments[0].kind is SegmentKind.TOOL


def test_parameters_that_shape_the_answer_count_and_transport_does_not() -> None:
    messages = [{"role": "user", "content": "hi"}]
    base = chat(messages)
    assert base.params == chat(messages, stream=True, user="u", metadata={"a": 1}, stream_options={}).params
    for change in (
        {"temperature": 0},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": 5},
        {"tool_choice": "none"},
    ):
        assert chat(messages, **change).params != base.params, change


def test_segments_stand_in_the_order_in_which_providers_cache() -> None:
    body = {
        "messages": [{"role": "user", "content": "q"}],
        "system": "s",
        "tools": [{"name": "a"}, {"name": "b"}],
    }
    kinds = [s.kind.value for s in parse(Api.MESSAGES, body).segments]
    assert kinds == ["tool", "tool", "system", "message"]


@given(
    st.sampled_from(list(Api)),
    st.dictionaries(
        st.sampled_from(["model", "messages", "input", "system", "instructions", "tools", "stream"]) | st.text(), JSON
    ),
)
def test_no_json_body_raises(api: Api, body: dict[str, Any]) -> None:
    parse(api, body)


def test_what_orjson_refuses_is_hashed_all_the_same() -> None:
    big, bigger = {"n": 2**70}, {"n": 2**71}
    assert canonical_json(big) != canonical_json(bigger)
    assert chat([{"role": "user", "content": "\ud800"}]) != chat([{"role": "user", "content": "\ud801"}])


def test_the_opening_names_a_conversation_as_it_grows() -> None:
    first = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    later = [*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "q2"}]
    assert chat(first).opening == chat(later).opening
    assert chat(first).opening != chat([*first[:1], {"role": "user", "content": "other"}]).opening


def test_nesting_deeper_than_the_stack_is_hashed_all_the_same() -> None:
    def deep(inside: object) -> object:
        for _ in range(5000):
            inside = [{"a": inside, "b": 1}]
        return inside

    assert canonical_json(deep(1)) == canonical_json(deep(1))
    assert len({canonical_json(deep(inside)) for inside in (1, 2, "1", None, [], {}, [1], {"a": 1})}) == 8
    parse(Api.CHAT, {"messages": deep(1), "tools": deep(1), "x": deep(1)})


@given(JSON, JSON)
def test_the_encoding_for_what_orjson_refuses_is_injective_too(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical_json([one, 2**70]) == canonical_json([other, 2**70])) == same


@pytest.mark.parametrize("odd", [[], {}, None, 4])
def test_an_odd_type_of_a_block_is_hashed_as_it_is(odd: object) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": odd, "text": "a"}]}]}
    assert len(parse(Api.CHAT, body).segments) == 1
