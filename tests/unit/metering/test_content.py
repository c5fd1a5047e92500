"""What is kept of a request is what a model reads, and of whole sessions; no key, header or name of a person is."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fivelevers.metering.arms import unit_interval
from fivelevers.metering.content import document, wanted
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Route

NOTHING = Output("")


def kept(sent: dict[str, Any]) -> Any:
    return json.loads(document("chat", sent, NOTHING))


def test_by_default_nothing_is_wanted() -> None:
    assert not any(wanted(Route(name="support"), f"s{n}") for n in range(1000))


def test_all_means_all() -> None:
    assert all(wanted(Route(name="support", content="all"), f"s{n}") for n in range(1000))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_a_sample_is_its_share_of_the_sessions(share: float) -> None:
    route = Route(name="support", content="sample", content_share=share)
    drawn = [wanted(route, f"s{n}") for n in range(5000)]
    assert abs(sum(drawn) / 5000 - share) < 0.02
    assert drawn == [wanted(route, f"s{n}") for n in range(5000)]


def test_the_sample_is_drawn_independently_of_the_arms() -> None:
    route = Route(name="support", content="sample", content_share=0.5)
    sessions = [f"s{n}" for n in range(4000)]
    holdout = [s for s in sessions if unit_interval("support", s) < 0.1]
    assert 0.4 < sum(wanted(route, s) for s in holdout) / len(holdout) < 0.6


def test_keys_headers_and_people_are_left_out_and_named() -> None:
    sent = {
        "model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "seed": None,
        "api_key": "sk-1", "extra_headers": {"authorization": "sk-2"}, "user": "bob", "metadata": {"user_id": "bob"},
        "aws_secret_access_key": "sk-3",
    }  # fmt: skip
    assert kept(sent)["request"] == {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0}
    assert kept(sent)["left_out"] == ["api_key", "aws_secret_access_key", "extra_headers", "metadata", "user"]


def test_a_tool_s_own_credentials_are_left_out_and_its_parameters_are_not() -> None:
    mcp = {"type": "mcp", "server_url": "https://tools.example", "headers": {"x": "sk-1"}, "authorization": "sk-2"}
    function = {"type": "function", "function": {"name": "get", "parameters": {"properties": {"headers": {}}}}}
    assert kept({"tools": [mcp, function, "odd"]})["request"]["tools"] == [
        {"type": "mcp", "server_url": "https://tools.example"},
        function,
        "odd",
    ]


def test_the_answer_is_its_text_and_its_tool_calls() -> None:
    found = json.loads(document("chat", {}, Output("yes", (ToolCall("look", '{"at": 1}'),))))
    assert (found["text"], found["tool_calls"]) == ("yes", [["look", '{"at": 1}']])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@example(messages=[2**70])
@example(messages=["half a pair: \ud83d"])
@given(messages=st.lists(JSON, max_size=3))
def test_whatever_json_was_sent_comes_back(messages: list[Any]) -> None:
    assert kept({"messages": messages})["request"]["messages"] == messages


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        document("chat", {"messages": object()}, NOTHING)
