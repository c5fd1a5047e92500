"""The prompts of a benchmark, from lines of a file and from what a route kept."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.cli.benchmark_prompts import drawn, of_file, of_ledger, of_records
from fivelevers.errors import CalibrationError, ContentError
from fivelevers.metering.content import document
from fivelevers.output import Output
from fivelevers.policy import Route
from fivelevers.request import Api
from fivelevers.stores.content_key import Sealer
from fivelevers.stores.ledger import Ledger
from tests.unit.stores.test_content import SUPPORT, content, keep


def lines(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def test_lines_are_prompts_or_requests_of_any_api(tmp_path: Path) -> None:
    user = [{"role": "user", "content": "Hello?"}]
    path = lines(
        tmp_path,
        {"prompt": "Hello?", "answer": "Hi.", "sum": 4},
        {"messages": user, "max_tokens": 9, "temperature": 0, "model": "x", "stream": True, "route": "desk"},
        {"messages": user, "system": "Be short.", "max_tokens": 9},
        {"input": "Hello?", "instructions": "Be short."},
        {"prompt": "Hello?", "answer": "Hi.", "sum": 5},
        {"prompt": "Hello?", "answer": "Hi.", "sum": 4},
    )
    (plain, chat, messages, responses, other), left = of_file(path, "support")  # the same line counts once
    assert left == 0
    assert (other.body, other.line["sum"]) == (plain.body, 5)  # a check may read it
    assert [one.api for one in (plain, chat, messages, responses)] == [Api.CHAT, Api.CHAT, Api.MESSAGES, Api.RESPONSES]
    assert {one.prompt for one in (plain, chat, messages, responses)} == {"Hello?"}
    assert (plain.expected, plain.route, plain.limit, plain.body) == ("Hi.", "support", None, {"messages": user})
    assert (chat.route, chat.limit, chat.body) == ("desk", 9, {"messages": user, "max_tokens": 9, "temperature": 0})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", "prompts.jsonl:1: is no JSON"),
        ("[1]", "prompts.jsonl:1: is no JSON object"),
        ("[" * 100_000, "prompts.jsonl:1: is no JSON"),
        ('{"prompt": "a", "x": ' + "[" * 500 + "]" * 500 + "}", "prompts.jsonl:1: is no JSON object, or is nested too"),
        ('{"prompt": "say \\ud800"}', "prompts.jsonl:1: is no JSON"),
        ({"messages": []}, "prompts.jsonl:1: has no text of a user's"),
        ({"prompt": "a", "answer": 4}, "prompts.jsonl:1: answer: 4 is no text"),
        (
            {"prompt": "a", "api": "embeddings"},
            "prompts.jsonl:1: api: 'embeddings' is none of chat, messages, responses",
        ),
    ],
)
def test_a_line_that_can_not_be_asked_is_named(tmp_path: Path, line: Any, said: str) -> None:
    with pytest.raises(CalibrationError, match=said.replace("[", r"\[")):
        of_file(lines(tmp_path, line), "support")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("FIVELEVERS_CONTENT_KEY", raising=False)
    made = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger(made)
    ledger.create()
    kept = [content(f"r{at}", f"Question {at}?", {}) for at in range(30)]
    keep(ledger, *(replace(one, at=time.time()) for one in [*kept, content("same", "Question 1?", {})]))
    ledger.close()
    return made


def test_a_sample_of_what_a_route_kept_is_drawn_once_and_for_all(url: str) -> None:
    whole, left = of_ledger(url, SUPPORT, at_most=100, days=1)
    assert (len(whole), left) == (30, 0)
    assert {case.answer_chars for case in whole} == {2}
    some, _ = of_ledger(url, SUPPORT, at_most=10, days=1)
    assert len(some) == 10
    assert {case.key for case in some} < {case.key for case in whole}
    asked = {"route": "support", "limit": 10, "days": 1.0}
    records = json.loads(json.dumps([drawn(asked, some)]))
    assert [case.key for case in of_records(records, asked)] == [case.key for case in some]
    for other in ({"route": "desk"}, {"limit": 20}, {"days": 2.0}):
        with pytest.raises(CalibrationError, match="--route support, --limit 10, --days 1"):
            of_records(records, asked | other)


def test_what_goes_on_from_what_a_provider_keeps_is_left_out(url: str) -> None:
    """Its conversation is named by a field whose content is never kept."""
    ledger, now = Ledger(url), time.time()
    tied = document("responses", {"input": "And then?", "conversation": "conv_1"}, Output("Then."))
    free = document("responses", {"input": "And then?", "n": 4, "service_tier": "priority"}, Output("Then."))
    for name, made in (("a", tied), ("b", free)):
        key_id, blob = Sealer({}).seal(made, name)
        keep(ledger, replace(content(name, "x", {}), at=now, key_id=key_id, blob=blob))
    ledger.close()
    cases, left = of_ledger(url, SUPPORT, at_most=100, days=1)
    assert left == 1
    assert [case.body for case in cases if case.api is Api.RESPONSES] == [{"input": "And then?"}]


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
FILE = {"type": "input_file", "file_id": "file-1"}
RESULT = {"type": "tool_result", "content": [{"type": "image", "source": {}}]}


@pytest.mark.parametrize(
    "line",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, IMAGE]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "So?"}, RESULT]}], "system": "x"},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, FILE]}]},
        {"input": "And then?", "previous_response_id": "resp_1"},
        {"input": "Who won?", "tools": [{"type": "web_search"}]},
    ],
)
def test_what_its_text_does_not_price_is_left_out(tmp_path: Path, line: Any) -> None:
    cases, left = of_file(lines(tmp_path, {"prompt": "a"}, line), "support")
    assert ([case.prompt for case in cases], left) == (["a"], 1)


def test_what_makes_a_call_dearer_is_not_asked(tmp_path: Path) -> None:
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
    tool = {"name": "find", "input_schema": schema, "cache_control": {"type": "ephemeral"}}
    dearer = {"n": 8, "service_tier": "priority", "cache_control": {}, "prompt_cache_key": "k", "prediction": {}}
    line = {"messages": [{"role": "user", "content": [marked]}], "system": [marked], "tools": [tool], **dearer}
    (case,), _ = of_file(lines(tmp_path, line), "support")
    plain = [{"type": "text", "text": "a"}]
    tools = [{"name": "find", "input_schema": schema}]
    assert case.body == {"messages": [{"role": "user", "content": plain}], "system": plain, "tools": tools}


def test_a_route_that_keeps_nothing_says_the_field_and_the_fix(url: str) -> None:
    with pytest.raises(ContentError, match=r"routes\.other\.content: 'off' keeps no text; write `content: sample`"):
        of_ledger(url, Route(name="other"), at_most=9, days=1)
    with pytest.raises(CalibrationError, match=r"routes\.new: no request of the last 1 days was kept"):
        of_ledger(url, Route(name="new", content="all"), at_most=9, days=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--models", "a,b"), "--prompts, --from-ledger: write one of them"),
        (("--models", "a,a", "--prompts", "p"), "'a,a' is not two models"),
        (("--models", "a,b", "--from-ledger"), "--policy: is missing"),
        (("--models", "a,b", "--prompts", "p"), "--key: is missing; name a key of the proxy"),
        (("--models", "a,b", "--prompts", "p", "--key", "ké"), "--key: holds a space, a line break or a letter"),
        (("--models", "a,b", "--prompts", "p", "--key", "k\n"), "--key: holds a space, a line break or a letter"),
        (("--models", "a,b", "--prompts", "p", "--key", "k", "--proxy", "http://h:abc"), "'http://h:abc' is no URL"),
        (("--models", "a,b", "--prompts", "p", "--key", "k", "--proxy", "h:4000"), "--proxy: 'h:4000' is no URL of a"),
    ],
)
def test_a_command_that_can_not_run_says_why(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    fixed = ["route", "benchmark", "--route", "r", "--proxy", "http://127.0.0.1:1", "--out", str(tmp_path / "out")]
    env = {"COLUMNS": "200", "FIVELEVERS_API_KEY": "", "LITELLM_MASTER_KEY": "", "FIVELEVERS_POLICY": ""}
    done = CliRunner().invoke(app, [*fixed, *words], env=env)
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []
