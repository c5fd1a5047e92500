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
from fivelevers.cli.benchmark_prompts import of_file, of_ledger, of_records, record
from fivelevers.errors import CalibrationError, ContentError
from fivelevers.policy import Route
from fivelevers.request import Api
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
    )
    plain, chat, messages, responses = of_file(path, "support")  # the same case counts once
    assert [one.api for one in (plain, chat, messages, responses)] == [Api.CHAT, Api.CHAT, Api.MESSAGES, Api.RESPONSES]
    assert {one.prompt for one in (plain, chat, messages, responses)} == {"Hello?"}
    assert (plain.expected, plain.route, plain.limit, plain.body) == ("Hi.", "support", None, {"messages": user})
    assert (chat.route, chat.limit, chat.body) == ("desk", 9, {"messages": user, "max_tokens": 9, "temperature": 0})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", "prompts.jsonl:1: is no JSON"),
        ("[1]", "prompts.jsonl:1: is no JSON object"),
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
    again = of_records(json.loads(json.dumps([record(case) for case in some])))
    assert [case.key for case in again] == [case.key for case in some]


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
    ],
)
def test_a_command_that_can_not_run_says_why(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    fixed = ["route", "benchmark", "--route", "r", "--proxy", "http://127.0.0.1:1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*fixed, *words], env={"COLUMNS": "200"})
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []
