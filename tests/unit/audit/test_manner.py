"""How calls were made, told from every format; what a log does not tell stays unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fivelevers.audit.manner import Manner, agent_in, without_agents
from fivelevers.request import Api
from tests.unit.audit.logged import read_all, write
from tests.unit.audit.test_read import BODY, CALLBACK, EXCHANGE, SPEND

AGENT = "OpenAI/Python 1.55.0"
TAGS = ["nightly", "User-Agent: OpenAI", f"User-Agent: {AGENT}"]
TOKENS = {**SPEND, "proxy_server_request": {}}
END = {"endTime": "2026-11-20T09:12:09Z"}


def manner(tmp_path: Path, row: dict[str, Any]) -> Manner:
    (call,), _ = read_all(write(tmp_path / "log.jsonl", [row]))
    return call.manner


@pytest.mark.parametrize(
    ("row", "streamed"),
    [
        (SPEND, False),
        (TOKENS, None),
        ({**SPEND, "proxy_server_request": {**BODY, "stream": True}}, True),
        ({**TOKENS, **END, "completionStartTime": "2026-11-20T09:12:05Z"}, True),
        ({**TOKENS, **END, "completionStartTime": "2026-11-20T09:12:09Z"}, False),
        ({**CALLBACK, "stream": True}, True),
        ({**CALLBACK, "stream": None}, False),
        (EXCHANGE, False),
        ({**EXCHANGE, "request": {**BODY, "stream": True}}, True),
        ({**EXCHANGE, "response": [EXCHANGE["response"]]}, True),
        ({"timestamp": 1.79e9, "model": "gpt-4.1", "usage": {"prompt_tokens": 5, "completion_tokens": 5}}, None),
    ],
)
def test_streaming(tmp_path: Path, row: dict[str, Any], streamed: bool | None) -> None:
    assert manner(tmp_path, row).streamed is streamed


@pytest.mark.parametrize(
    "row",
    [
        {**SPEND, "request_tags": TAGS},
        {**CALLBACK, "user_agent": AGENT},
        {**CALLBACK, "metadata": {**CALLBACK["metadata"], "user_agent": AGENT}},  # type: ignore[dict-item]
        {**EXCHANGE, "request": {"headers": {"User-Agent": AGENT}, "body": BODY}},
        {**EXCHANGE, "user_agent": AGENT},
    ],
)
def test_the_program_without_its_version(tmp_path: Path, row: dict[str, Any]) -> None:
    found = manner(tmp_path, row)
    assert (found.agent, found.browser) == ("OpenAI/Python", False)


@pytest.mark.parametrize(
    ("agent", "product"),
    [
        ("Mozilla/5.0 (X11; Linux) Firefox/140.0", "Mozilla"),
        ("python-requests/2.32", "python-requests"),
        ("curl", "curl"),
        ("x" * 1000, "x" * 40),
        ("", ""),
    ],
)
def test_programs(tmp_path: Path, agent: str, product: str) -> None:
    found = manner(tmp_path, {**CALLBACK, "user_agent": agent})
    assert (found.agent, found.browser) == (product, product == "Mozilla")


def test_calls_that_ask_for_no_answer_at_once_or_go_on_from_one(tmp_path: Path) -> None:
    for more, expected in (
        ({"background": True}, (True, False, False)),
        ({"service_tier": "batch"}, (True, False, False)),
        ({"service_tier": "flex"}, (False, True, False)),
        ({"service_tier": ["auto"]}, (False, False, False)),
        ({"previous_response_id": "resp_1"}, (False, False, True)),
    ):
        found = manner(tmp_path, {**EXCHANGE, "request": {**BODY, **more}})
        assert (found.deferred, found.other_tier, found.continued) == expected
    flat = {"timestamp": 1.79e9, "usage": {"prompt_tokens": 5}, **BODY, "background": True}
    assert manner(tmp_path, flat).deferred


def test_what_was_called(tmp_path: Path) -> None:
    assert manner(tmp_path, TOKENS).api is Api.CHAT
    assert manner(tmp_path, {**TOKENS, "call_type": "aimage_generation"}).api is Api.OTHER
    assert manner(tmp_path, EXCHANGE).api is Api.CHAT


def test_user_agents_among_tags_are_nobodys_tags() -> None:
    assert agent_in(TAGS) == AGENT
    assert agent_in(["nightly"]) is None
    assert without_agents(TAGS) == ("nightly",)
