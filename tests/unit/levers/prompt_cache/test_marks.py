"""Marks stand where the provider takes them, and change nothing that a model reads."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.marks import KEYS, Dialect, Place, marked, places
from fivelevers.request import Api, parse
from tests.wire.random_bodies import ASKS, Ask

APIS = {"chat": Api.CHAT, "messages": Api.MESSAGES, "responses": Api.RESPONSES, "embeddings": Api.EMBEDDINGS}
ANY = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


@ANY
@given(ask=ASKS, dialect=st.sampled_from(Dialect))
def test_every_segment_has_one_place_or_none(ask: Ask, dialect: Dialect) -> None:
    api = APIS[ask.api]
    assert len(places(api, ask.body, dialect)) == len(parse(api, ask.body).segments)


@ANY
@given(ask=ASKS, dialect=st.sampled_from(Dialect), data=st.data())
def test_a_marked_body_asks_the_same_and_the_first_one_is_untouched(ask: Ask, dialect: Dialect, data: Any) -> None:
    api = APIS[ask.api]
    free = [(index, place) for index, place in enumerate(places(api, ask.body, dialect)) if place]
    chosen = data.draw(st.lists(st.sampled_from(free), unique=True)) if free else []
    before = copy.deepcopy(ask.body)
    after = {**ask.body, **marked(api, ask.body, {place: 3600 for _, place in chosen}, dialect)}
    assert json.dumps(ask.body) == json.dumps(before)
    was, now = parse(api, ask.body), parse(api, after)
    assert [segment.digest for segment in now.segments] == [segment.digest for segment in was.segments]
    assert now.params == was.params
    carried = {index for index, segment in enumerate(now.segments) if segment.mark}
    for index, place in chosen:  # the end of a message that is more than its content has the mark on the content
        assert place[-2:-1] == ("tool_calls",) or carried & {index, index - 1}


TEXT = {"type": "text", "text": "a"}
CALL = {"role": "assistant", "content": "b", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("api", "dialect", "body", "expected"),
    [
        (Api.MESSAGES, Dialect.ANTHROPIC, {"system": "s", "messages": [{"role": "user", "content": "q"}]},
         [("system",), ("messages", 0, "content")]),
        (Api.MESSAGES, Dialect.ANTHROPIC, {"messages": [{"role": "assistant", "content": [
            {"type": "thinking", "thinking": "x"}, {"type": "text", "text": " "}, TEXT]}]},
         [None, None, ("messages", 0, "content", 2)]),
        (Api.CHAT, Dialect.ANTHROPIC, {"tools": [{"function": {}}], "messages": [CALL]},
         [("tools", 0), None, ("messages", 0, "tool_calls", 0)]),
        (Api.CHAT, Dialect.ANTHROPIC, {"messages": [{"role": "tool", "tool_call_id": "c", "content": "r"}]},
         [None, ("messages", 0, "content")]),
        (Api.CHAT, Dialect.OPENAI, {"tools": [{"function": {}}], "messages": [
            {"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}]},
         [None, ("messages", 0, "content"), None]),
        (Api.RESPONSES, Dialect.OPENAI, {"instructions": "i", "input": "q"}, [None, ("input",)]),
        # The client's own marks stay, odd ones too.
        (Api.CHAT, Dialect.ANTHROPIC, {"tools": [{"function": {}, "cache_control": {}}], "messages": [
            {"role": "user", "content": "q", "name": "n", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
         [None, None, None]),
        (Api.MESSAGES, Dialect.ANTHROPIC, {"system": [{**TEXT, "cache_control": None}]}, [None]),
        (Api.RESPONSES, Dialect.ANTHROPIC, {"instructions": "i", "input": "q"}, [None, None]),
    ],
)  # fmt: skip
def test_places(api: Api, dialect: Dialect, body: dict[str, Any], expected: list[Place | None]) -> None:
    assert places(api, body, dialect) == expected


def test_marks_are_spelled_as_each_provider_reads_them() -> None:
    body = {"system": "s", "messages": [{"role": "user", "content": [TEXT, TEXT]}]}
    found = marked(Api.MESSAGES, body, {("system",): 3600, ("messages", 0, "content", 1): 300}, Dialect.ANTHROPIC)
    hour, five = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
    assert found == {
        "system": [{"type": "text", "text": "s", "cache_control": hour}],
        "messages": [{"role": "user", "content": [TEXT, {**TEXT, "cache_control": five}]}],
    }
    chat = {"messages": [{"role": "user", "content": "q"}]}
    place: Place = ("messages", 0, "content")
    assert marked(Api.CHAT, chat, {place: 300}, Dialect.ANTHROPIC)["messages"][0] == {
        "role": "user", "content": "q", "cache_control": five,
    }  # fmt: skip
    assert marked(Api.CHAT, chat, {place: 1800}, Dialect.OPENAI)["messages"][0]["content"] == [
        {"type": "text", "text": "q", KEYS[Dialect.OPENAI]: {"mode": "explicit"}}
    ]
    assert marked(Api.RESPONSES, {"input": "q"}, {("input",): 1800}, Dialect.OPENAI)["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "q", KEYS[Dialect.OPENAI]: {"mode": "explicit"}}]}
    ]
