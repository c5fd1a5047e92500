"""Equal prefixes have equal nodes, and whatever invalidates a section changes every node from there on."""

from typing import Any

import pytest

from fivelevers.levers.prompt_cache.marks import Dialect, places
from fivelevers.levers.prompt_cache.prefix import Position, Section, prefix_of, ttl_s
from fivelevers.request import Api, parse

TOOLS = [{"name": "search", "input_schema": {}}, {"name": "read", "input_schema": {}}]
BODY: dict[str, Any] = {
    "model": "m",
    "tools": TOOLS,
    "system": [{"type": "text", "text": "You answer.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
}


def positions(*, scope: bytes = b"s", **fields: Any) -> tuple[Position, ...]:
    return prefix_of(parse(Api.MESSAGES, BODY | fields), scope, 0.25)


def shared(one: tuple[Position, ...], other: tuple[Position, ...]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a.node != b.node), min(len(one), len(other)))


def test_one_position_per_segment_in_the_order_of_caching() -> None:
    found = positions()
    assert [p.section for p in found] == [Section.TOOLS] * 2 + [Section.SYSTEM] + [Section.MESSAGES] * 2
    assert [p.block for p in found] == [1, 2, 3, 4, 5]
    assert [p.mark_s for p in found] == [None, None, 3600, None, None]
    assert [p.tokens for p in found] == sorted(p.tokens for p in found)
    assert all(len(p.node) == 8 for p in found)


def test_a_longer_conversation_shares_what_came_before() -> None:
    longer = [*BODY["messages"], {"role": "user", "content": "More"}]
    assert shared(positions(), positions(messages=longer)) == 5


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("temperature", 1, 5),
        ("tool_choice", {"type": "any"}, 3),
        ("thinking", {"type": "enabled", "budget_tokens": 2000}, 3),
        ("speed", "fast", 2),
        ("tools", TOOLS[::-1], 0),
    ],
)
def test_what_invalidates_a_section_changes_it(field: str, value: Any, kept: int) -> None:
    assert shared(positions(), positions(**{field: value})) == kept


def test_an_image_invalidates_the_messages_before_it() -> None:
    image = {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}
    assert shared(positions(), positions(messages=[*BODY["messages"], image])) == 3


def test_scopes_share_nothing() -> None:
    assert shared(positions(scope=b"one"), positions(scope=b"two")) == 0


def test_system_messages_come_first_where_the_provider_wants_them() -> None:
    messages = [{"role": "user", "content": "Hello"}, {"role": "system", "content": "Be short."}]
    request = parse(Api.CHAT, {"model": "m", "messages": messages})
    assert [p.segment for p in prefix_of(request, b"s", 0.25)] == [1, 0]
    assert [p.segment for p in prefix_of(request, b"s", 0.25, system_first=False)] == [0, 1]


def test_a_segment_without_a_place_takes_no_mark() -> None:
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": ""}, {"type": "text", "text": "Hi"}]
    body = BODY | {"messages": [{"role": "assistant", "content": content}]}
    takes = [place is not None for place in places(Api.MESSAGES, body, Dialect.ANTHROPIC)]
    marked = prefix_of(parse(Api.MESSAGES, body), b"s", 0.25, takes=takes)
    assert [p.markable for p in marked[-3:]] == [False, False, True]


@pytest.mark.parametrize(("mark", "seconds"), [("5m", 300), ("1h", 3600), ("30s", 30), ("h", 300), ("", 300)])
def test_ttl(mark: str, seconds: int) -> None:
    assert ttl_s(mark) == seconds
