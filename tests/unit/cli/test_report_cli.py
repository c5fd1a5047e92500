"""`fivelevers report` on a real ledger: measured beside modelled, what the holdout costs, and what went back."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Event, to_record
from fivelevers.metering.outcomes import Outcome
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switches import Switches
from fivelevers.switch import Action
from tests.unit.events import attempt, outcome

HALF, WHOLE = Decimal("0.005"), Decimal("0.01")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A route whose lever 2 saves half, as the holdout shows, and one that says so and does not."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.create()
    saved = (Saving("semantic_cache", Basis.ESTIMATED, HALF),)
    events = []
    for route, without in (("support", WHOLE), ("chat", HALF)):
        for number in range(80):
            plain = attempt(route=route, session=f"o{number}", cost_usd=HALF, cost_without_us_usd=WHOLE, savings=saved)
            held = attempt(route=route, session=f"h{number}", holdout=True, cost_usd=without,
                           cost_without_us_usd=without)  # fmt: skip
            events += [plain, held]
    assert ledger.insert([to_record(one) for one in events]) == []
    ledger.close()
    switches = Switches("", f"sqlite:///{tmp_path}/ledger.db")
    switches.off("chat", "semantic_cache", actor="guard", reason="it does not pay", action=Action.RETREAT)
    switches.off("support", "prompt_cache", actor="ann", reason="by hand")
    switches.close()
    return tmp_path


def report(state: Path, *options: str) -> str:
    told = CliRunner().invoke(app, ["report", "--state-dir", str(state), *options], env={"COLUMNS": "120"})
    assert told.exit_code == 0, told.output
    return told.output


def test_measured_and_modelled_stand_side_by_side(state: Path) -> None:
    text = " ".join(report(state).split())
    assert "Saved, measured against the holdout" in text
    assert "chat: modelled and measured DISAGREE" in text
    assert "support: modelled" not in text
    assert "support: the holdout's requests cost $0.8000; treated like the others, $0.4000 less." in text
    assert "semantic_cache on chat is back in shadow since" in text
    assert "it does not pay" in text
    assert "by hand" not in text


def test_programs_are_told_the_same(state: Path) -> None:
    told = {row["route"]: row for row in json.loads(report(state, "--format", "json"))}
    assert told["support"]["measured_saved_usd"] == told["support"]["modelled_saved_usd"] == "0.4"
    assert told["chat"]["measured_saved_usd"] == "0"
    assert (told["support"]["modelled_disagrees"], told["chat"]["modelled_disagrees"]) == (False, True)
    assert (told["support"]["retreated"], told["chat"]["retreated"]) == ({}, {"semantic_cache": "it does not pay"})
    assert "measured_saved_usd" not in json.loads(report(state, "--by", "team", "--format", "json"))[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--month", "9999-12"], "--month: '9999-12' is no month"),
        (["--month", "2026-13"], "--month: '2026-13' is no month"),
        (["--month", "2026-11", "--since", "7d"], "--month and --since name two periods"),
        (["--html", os.devnull, "--format", "json"], "--html writes a page, --format json prints rows"),
        (["--since", "9" * 400 + "d"], "is neither a span nor a date"),
    ],
)
def test_options_that_can_not_be_meant_are_refused(tmp_path: Path, options: list[str], said: str) -> None:
    told = CliRunner().invoke(app, ["report", "--state-dir", str(tmp_path), *options])
    assert told.exit_code == 2, told.output
    assert said in told.output
    assert not (tmp_path / "ledger.db").exists()


def test_the_page_has_them_too(state: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report(state, "--html", str(page))
    text = page.read_text(encoding="utf-8")
    assert "Measured against the holdout" in text
    assert "disagree" in text
    assert "semantic_cache on chat is back in shadow: it does not pay." in text


def test_waste_is_told_by_its_name(state: Path) -> None:
    assert "Wasted" not in report(state)
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    failed = attempt(request_id="f", cost_usd=HALF, cost_without_us_usd=HALF)
    replaced = attempt(request_id="r", at=1.0, success=False, cost_usd=WHOLE, cost_without_us_usd=WHOLE)
    events: list[Event] = [failed, outcome("f", Outcome.FAILURE), replaced, attempt(request_id="r")]
    assert ledger.insert([to_record(one) for one in events]) == []
    ledger.close()
    assert "Wasted: answers that failed $0.0050; attempts that were replaced $0.0100." in report(state)
