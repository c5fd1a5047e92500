"""`fivelevers explain route`: what was decided about one request, on what grounds, and what came of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Event, to_record
from fivelevers.stores.ledger import Ledger
from tests.unit.events import attempt, routed

SAVED = (Saving("routing", Basis.ESTIMATED, Decimal("0.0004")),)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


def explain(url: str, *events: Event, more: tuple[str, ...] = ()) -> Result:
    ledger = Ledger(url)
    ledger.create()
    assert ledger.insert([json.loads(json.dumps(to_record(event), default=str)) for event in events]) == []
    ledger.close()
    return CliRunner().invoke(app, ["explain", "route", "r1", "--ledger", url, *more])


def test_a_routed_request_says_where_it_went_and_why(url: str) -> None:
    answered = attempt(request_id="r1", model="gpt-4.1-nano", savings=SAVED)
    result = explain(url, routed("r1"), answered, attempt(request_id="r1", charged_to="routing", at=1002.0))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "1970-01-01 00:16:40  route support, lever 4 in on",
        "  sent to gpt-4.1-nano (routed)",
        "  why: the strong model is not expected to be enough better to be worth its price",
        (
            "  another dollar for gpt-4.1 is expected to buy 12.5 right answers here; a cheaper one is certified below "
            "40 for a dollar"
        ),
        "  expected: $0.0004 saved, right 1.2 points less often",
        "  artifact of 1970-01-01 00:15:00",
        "1970-01-01 00:16:40  openai/gpt-4.1-nano answered, cost $0.0003, lever 4 saved $0.0004",
        "1970-01-01 00:16:42  openai/gpt-4.1 answered, cost $0.0003: the lever's own call, to compare",
    ]


def test_a_fallback_shows_both_decisions(url: str) -> None:
    again = routed("r1", at=1003.0, reason="failed", model="gpt-4.1")
    broken = attempt(request_id="r1", model="gpt-4.1-nano", success=False, error="Timeout", at=1002.0)
    lines = explain(url, again, routed("r1"), broken).output.splitlines()
    sent = [line.strip() for line in lines if "sent to" in line]
    assert sent == ["sent to gpt-4.1-nano (routed)", "sent to gpt-4.1 (failed)"]
    assert "failed: Timeout" in lines[-1]


def test_shadow_says_what_it_had_done(url: str) -> None:
    said = explain(url, routed("r1", mode="shadow", model="gpt-4.1")).output
    assert "gpt-4.1 answers, since shadow changes nothing. Decided on: gpt-4.1-nano (routed)" in said


def test_a_margin_is_told_in_points(url: str) -> None:
    said = explain(url, routed("r1", point=-0.05, threshold=-0.02, gain=-0.05)).output
    assert "right 5.0 points more often than gpt-4.1; a cheaper one is certified from 2.0 points more on" in said
    assert "right 5.0 points more often\n" in said


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("weak", "its answer was looked at, and taken"),
        ("escalated:scorer", "the weak model's answer looks like answers that were wrong too often"),
        ("strong-only:too-dear", "the weak model was not asked: its answer and the look cost too much"),
        ("strong-only:stale", "the weak model was not asked: a price or a model has changed"),
    ],
)
def test_a_cascade_says_whose_answer_was_given_and_why(url: str, reason: str, words: str) -> None:
    bare = {"chosen": None, "gain": None, "saved_usd": None, "point": None, "threshold": None, "artifact": None}
    told = explain(url, routed("r1", reason=reason, **bare)).output
    assert f"({reason})" in told
    assert f"why: {words}" in told


def test_a_weak_answer_that_nobody_got_is_a_loss(url: str) -> None:
    lost = (Saving("routing", Basis.OBSERVED, Decimal("-0.00028")),)
    assert "thrown away, lever 4 lost $0.0003" in explain(url, attempt(request_id="r1", savings=lost)).output


def test_what_was_not_decided_and_what_is_not_there(url: str) -> None:
    result = explain(url, attempt(request_id="r1"))
    assert (result.exit_code, "lever 4 decided nothing" in result.output) == (1, True)
    missing = CliRunner().invoke(app, ["explain", "route", "other", "--ledger", url])
    assert (missing.exit_code, "no such request" in missing.output) == (2, True)


def test_json_has_all_but_the_end_user(url: str) -> None:
    told = json.loads(explain(url, routed("r1", end_user="5f" * 16), attempt(request_id="r1"), more=("--json",)).output)
    assert told["decisions"][0]["point"] == 12.5
    assert told["attempts"][0]["cost_usd"] == "0.00028"
    assert "5f5f" not in json.dumps(told)
