"""The first difference of two prompts: where, what, and what it loses."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.difference import (
    Difference,
    Section,
    What,
    common_prefix,
    difference,
    excerpt,
    reach,
)
from fivelevers.levers.prompt_cache.opening import Opening
from tests.unit.levers.prompt_cache.openings import opening, tool

REST = " You help the customers of a bakery." * 20
TOOLS = [tool("alpha"), tool("beta"), tool("gamma")]


def told(before: Opening, now: Opening) -> Difference:
    found = difference(before, now)
    assert found is not None
    return found


def of_texts(before: str, now: str) -> Difference:
    return told(opening(before + REST), opening(now + REST))


def test_equal_openings_differ_in_nothing_whatever_is_said() -> None:
    assert difference(opening(REST, TOOLS, "Hi"), opening(REST, TOOLS, "What is open today?")) is None


def test_what_changes_by_itself_is_named() -> None:
    cases = {
        ("It is 2026-11-25T19:20:01Z now.", "It is 2026-11-25T19:20:02Z now."): (What.TIMESTAMP, 6),
        ("It is 2026-11-25 19:20 now.", "It is 2026-11-25 19:21 now."): (What.TIMESTAMP, 6),
        ("At 9:15 PM, be brief.", "At 11:47 PM, be brief."): (What.TIMESTAMP, 3),
        ("now=1764098401 be brief", "now=1764099555 be brief"): (What.TIMESTAMP, 4),
        ("Today is 2026-11-25.", "Today is 2026-11-26."): (What.DATE, 9),
        ("Today is November 25, 2026.", "Today is December 1, 2026."): (What.DATE, 9),
        ("Today is 25 Nov 2026.", "Today is 26 Nov 2026."): (What.DATE, 9),
        ("id 550e8400-e29b-41d4-a716-446655440000.", "id 550e8400-e29b-41d4-a716-446655449999."): (What.UUID, 3),
        ("request a8f3k2m9x1:", "request b8f3k2m9x1:"): (What.RANDOM_ID, 8),
        ("There are 5 open orders.", "There are 17 open orders."): (What.NUMBER, 10),
        ("You speak to Alice.", "You speak to Bob."): (What.TEXT, 13),
    }
    for (before, now), expected in cases.items():
        found = of_texts(before, now)
        assert (found.what, found.offset) == expected, (before, found)
        assert found.section is Section.SYSTEM
        assert found.lost_chars >= len(REST)
        assert found.lost_chars <= len(now + REST)


def test_a_second_value_that_changes_does_not_hide_what_is_shared_behind_it() -> None:
    found = of_texts("It is 19:20:01. Ticket 550.", "It is 19:20:02. Ticket 551.")
    assert found.lost_chars >= len(". Ticket 551." + REST)


def test_another_prompt_shares_nothing() -> None:
    assert told(opening("You translate."), opening("Summarize it!")).lost_chars == 0


def test_what_happened_to_the_list_of_tools() -> None:
    before = opening(REST, TOOLS)
    cases = [
        ([TOOLS[0], TOOLS[2], TOOLS[1]], What.TOOLS_REORDERED, 1),
        ([TOOLS[0], tool("new"), *TOOLS[1:]], What.TOOL_ADDED, 1),
        ([*TOOLS, tool("new")], What.TOOL_ADDED, 3),
        (TOOLS[1:], What.TOOL_REMOVED, 0),
        (TOOLS[:2], What.TOOL_REMOVED, 2),
    ]
    for tools, what, segment in cases:
        found = told(before, opening(REST, tools))
        assert (found.section, found.what, found.segment) == (Section.TOOLS, what, segment)
        assert found.lost_chars >= len(REST)  # the system text stands behind the tools


def test_a_tool_changed_in_place_is_compared_as_text() -> None:
    dated = [tool("alpha"), tool("beta", description="Today is 2026-11-25."), tool("gamma")]
    later = [tool("alpha"), tool("beta", description="Today is 2026-11-26."), tool("gamma")]
    found = told(opening(REST, dated), opening(REST, later))
    assert (found.section, found.segment, found.what) == (Section.TOOLS, 1, What.DATE)
    assert "2026" in excerpt(opening(REST, later), found)


def test_keys_in_another_order_are_told_from_another_tool() -> None:
    shuffled = [dict(reversed(TOOLS[0].items())), *TOOLS[1:]]
    assert told(opening(REST, TOOLS), opening(REST, shuffled)).what is What.KEYS_REORDERED


def test_cache_marks_are_no_difference() -> None:
    marked = [*TOOLS[:2], tool("gamma", cache_control={"type": "ephemeral"})]
    block = {"type": "text", "text": REST, "cache_control": {"type": "ephemeral"}}
    assert difference(opening(REST, TOOLS), opening([block], marked)) is None


def test_a_parameter_loses_the_conversation_where_it_is_the_same_one() -> None:
    forced = {"tool_choice": {"type": "any"}}
    same = told(opening(REST, said="Hello"), opening(REST, said="Hello", **forced))
    assert (same.what, same.parameter, same.lost_chars) == (What.PARAMETER, "tool_choice", len("Hello"))
    assert told(opening(REST, said="Hello"), opening(REST, said="Bye", **forced)).lost_chars == 0
    schema = {"response_format": {"type": "json_object"}}
    assert told(opening(REST, said="Hello"), opening(REST, said="Bye", **schema)).lost_chars == len(REST)


def test_in_words() -> None:
    found = of_texts("It is 2026-11-25T19:20:01Z now.", "It is 2026-11-25T19:20:02Z now.")
    assert str(found) == "timestamp in the system text at character 6"
    assert "behind what stays the same" in found.fix
    blocks = told(opening(["Same.", "It is 10:01."]), opening(["Same.", "It is 10:02."]))
    assert str(blocks) == "timestamp in the system text (block 2) at character 6"
    assert str(told(opening("", TOOLS), opening("", TOOLS[::-1]))) == "tools in another order from tool 1 on"


texts = st.text(st.characters(codec="utf-8"), max_size=40)
openings = st.builds(opening, st.lists(texts, max_size=4), st.lists(st.builds(tool, texts), max_size=4), texts)


@given(openings, openings)
def test_a_difference_is_there_and_in_bounds(before: Opening, now: Opening) -> None:
    found = difference(before, now)
    same = (before.tools, before.system, before.params) == (now.tools, now.system, now.params)
    assert (found is None) == same
    assert difference(now, now) is None
    if found is not None:
        assert 0 <= found.lost_chars <= now.chars
        assert 0 <= reach(now, found) <= now.chars + max(map(len, (*before.tools, *before.system)), default=0)
        texts = now.tools if found.section is Section.TOOLS else now.system
        assert found.segment <= len(texts)
        assert found.offset <= max(map(len, (*texts, *before.tools, *before.system)), default=0)
        assert str(found)
        assert found.fix


@given(texts, texts, texts)
def test_text_in_the_middle_loses_what_stands_behind_it(head: str, old: str, new: str) -> None:
    end = "\0"  # what follows must not begin as one of them goes on
    assume(end not in old + new)
    found = difference(opening(head + old + end + REST), opening(head + new + end + REST))
    if found is None:
        assert old == new
    else:
        assert len(REST) < found.lost_chars <= len(new + end + REST)


@given(texts, texts, texts)
def test_common_prefix_is_the_longest(head: str, old: str, new: str) -> None:
    before, now = head + old, head + new
    same = common_prefix(before, now)
    assert before[:same] == now[:same]
    assert same == min(len(before), len(now)) or before[same] != now[same]
