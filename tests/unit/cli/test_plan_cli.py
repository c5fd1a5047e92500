"""`fivelevers plan` on a ledger: where a route stands, its next step, and the policy with it."""

from __future__ import annotations

import difflib
import json
import os
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.cli.plan_known import _registered, projections
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import to_record
from fivelevers.order import Mode
from fivelevers.policy import load
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.stores import gated, switch_history
from fivelevers.stores.ledger import Ledger
from fivelevers.switch import Action, Switch
from tests.unit.events import attempt
from tests.unit.levers.quantization.registered import GATED

POLICY = """\
# whose routes these are
routes:
  - name: support          # the desk
    match: {model: support-*}
    levers:
      prompt_cache: {mode: on, percent: 10}
  - name: coding
    match: {model: code-*}
"""
DAY_S = 86_400.0
FEW_REQUESTS, MANY_REQUESTS = 20, 240


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path


def fill(place: Path, requests: int, days: float, *actions: Switch) -> None:
    """``requests`` of the route `support`, of which lever 1 saved a cent each, spread over ``days`` up to now."""
    ledger, now = Ledger(url(place)), time.time()
    ledger.create()
    saved = (Saving("prompt_cache", Basis.OBSERVED, Decimal("0.01")),)
    at = [now - days * DAY_S * (1 - n / (requests - 1)) for n in range(requests)]
    events = [attempt(at=one, started_at=one - 1, asked_at=one - 1, savings=saved) for one in at]
    assert ledger.insert([to_record(event) for event in events]) == []
    switch_history.add(ledger, actions)
    ledger.close()


def url(place: Path) -> str:
    return f"sqlite:///{place / 'ledger.db'}"


def run(place: Path, *arguments: str) -> tuple[int, str]:
    command = ["plan", str(place / "policy.yaml"), "--ledger", url(place), "--state-dir", str(place), *arguments]
    done = CliRunner().invoke(app, command)
    return done.exit_code, done.output


def planned(place: Path, route: str, *arguments: str) -> dict[str, Any]:
    code, out = run(place, "--json", "--route", route, *arguments)
    assert code == 0, out
    (found,) = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_lever_that_was_watched_long_enough_gets_more_sessions(place: Path) -> None:
    fill(place, MANY_REQUESTS, 3.0)
    found = planned(place, "support")
    assert found["next"]["change"] == {"percent": 50.0}
    low, high = (float(usd) for usd in found["next"]["saving_usd_a_month"])
    assert low == high == pytest.approx(4 * MANY_REQUESTS * 0.01 * 10, rel=0.01)  # 40 % of the sessions more
    assert found["next"]["basis"] == "metered"
    assert found["not_yet"]["levers"] == ["semantic_cache", "batch", "routing", "quantization"]


@pytest.mark.parametrize(
    ("requests", "days", "said"), [(FEW_REQUESTS, 3.0, "180 requests more"), (MANY_REQUESTS, 0.5, "12 hours more")]
)
def test_one_that_was_not_waits_and_is_told_for_what(place: Path, requests: int, days: float, said: str) -> None:
    fill(place, requests, days)
    found = planned(place, "support")
    assert found["next"]["change"] == {}
    assert said in found["next"]["what"]


@pytest.mark.parametrize(
    ("route", "lever", "command"),
    [
        ("support", "prompt_cache", "fivelevers resume --route support --lever prompt_cache"),
        ("*", "*", "fivelevers resume"),
    ],
)
def test_what_is_switched_off_is_resumed_before_it_gets_more(place: Path, route: str, lever: str, command: str) -> None:
    fill(place, MANY_REQUESTS, 3.0, Switch(time.time(), "a" * 32, Action.OFF, route, lever, "me@here", "incident 42"))
    found = planned(place, "support")
    assert found["next"]["change"] == {}
    assert "switched off (incident 42, by me@here)" in found["next"]["what"]
    assert found["next"]["command"] == command
    code, _ = run(place, "--route", "support", "--apply")
    assert code == 1
    assert (place / "policy.yaml").read_text() == POLICY


def arms(place: Path, treated_usd: str, holdout_usd: str) -> None:
    """40 sessions outside the holdout, of which lever 1 is said to save a cent a request, and 40 in it."""
    ledger, now = Ledger(url(place)), time.time()
    ledger.create()
    saved = (Saving("prompt_cache", Basis.OBSERVED, Decimal("0.01")),)
    for n in range(240):
        held, at = n % 2 == 1, now - 3 * DAY_S * (1 - n / 239)
        usd = Decimal(holdout_usd if held else treated_usd) + Decimal(n % 7) / 100_000
        event = attempt(
            at=at, started_at=at - 1, asked_at=at - 1, session=f"s{n % 80}", holdout=held, cost_usd=usd,
            savings=() if held else saved, cost_without_us_usd=usd if held else usd + Decimal("0.01"),
        )  # fmt: skip
        assert ledger.insert([to_record(event)]) == []
    ledger.close()


def test_a_lever_alone_saves_what_the_holdout_says(place: Path) -> None:
    arms(place, "0.02", "0.03")
    found = planned(place, "support")
    assert (found["next"]["change"], found["next"]["basis"]) == ({"percent": 50.0}, "measured")
    low, high = (float(usd) / 4 for usd in found["next"]["saving_usd_a_month"])  # for 40 % of the sessions more
    assert low < 120 * 0.01 * 10 < high < 1.1 * 120 * 0.01 * 10


def test_a_lever_that_the_holdout_contradicts_gets_no_more_sessions(place: Path) -> None:
    arms(place, "0.02", "0.01")
    found = planned(place, "support")
    assert found["next"]["change"] == {}
    assert "cost more than they save (-$1.2" in found["next"]["what"]


def test_a_projection_is_of_its_own_route_and_of_the_time_that_is_asked_about(place: Path) -> None:
    ledger, now = Ledger(url(place)), time.time()
    ledger.create()
    for n in range(300):  # a route of three days, beside one that was last called long ago
        at = now - 3 * DAY_S * (1 - n / 299)
        ledger.insert([to_record(attempt(at=at + 1, started_at=at, asked_at=at, route="coding", alias="code-1"))])
    old = now - 200 * DAY_S
    ledger.insert([to_record(attempt(at=old + n, started_at=old + n, asked_at=old + n)) for n in range(5)])
    ledger.close()
    book = PriceBook.from_litellm_map(find_litellm_map())
    told = projections(url(place), load(place / "policy.yaml"), book, now - 30 * DAY_S)
    assert set(told) == {"coding"}
    _, high = told["coding"].saving["semantic_cache"]
    assert float(high) == pytest.approx(299 * 0.00028 * 10, rel=0.02)  # all but the first


def test_what_the_guard_took_back_is_told_with_its_reason(place: Path) -> None:
    retreat = Switch(time.time(), "a" * 32, Action.RETREAT, "support", "prompt_cache", "guard", "cost per success rose")
    fill(place, MANY_REQUESTS, 3.0, retreat)
    found = planned(place, "support")
    assert found["next"]["change"] == {"mode": "does-not-pay"}
    assert "cost per success rose" in found["next"]["what"]
    assert found["next"]["command"] == "fivelevers resume --route support --lever prompt_cache"


def test_a_registration_says_what_its_gate_found_and_one_that_is_not_passed_what_it_lacks(tmp_path: Path) -> None:
    gated.write(tmp_path / "good.fp8", GATED)
    gated.write(tmp_path / "open.fp8", replace(GATED, economics=Verdict.INCONCLUSIVE))
    good = _registered(tmp_path / "good.fp8", "gate")
    assert good.told == "30% of the cost of a success, at least -1.2% right, 1,200 items on H100 SXM"
    assert good.lacks == ""
    lacking = _registered(tmp_path / "open.fp8", "gate")
    assert (lacking.told, lacking.command) == ("", "gate")
    assert "quality says pass, economics inconclusive" in lacking.lacks


def test_apply_shows_the_diff_and_writes_it(place: Path) -> None:
    fill(place, MANY_REQUESTS, 3.0)
    code, out = run(place, "--apply")
    assert code == 0, out
    after = (place / "policy.yaml").read_text()
    diff = difflib.unified_diff(POLICY.splitlines(), after.splitlines(), n=0, lineterm="")
    assert all(line in out for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---"))
    routes = {route.name: route.levers.prompt_cache for route in load(place / "policy.yaml").routes}
    assert routes["support"].percent == 50
    assert routes["coding"].mode is routes["default"].mode is Mode.SHADOW
    assert "# whose routes these are" in after
    assert "# the desk" in after


def test_a_policy_that_may_not_be_written_gets_a_patch(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(place, MANY_REQUESTS, 3.0)
    writable = os.access  # who runs the tests may be root
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and writable(path, mode))
    code, out = run(place, "--apply")
    assert code == 0, out
    assert (place / "policy.yaml").read_text() == POLICY
    assert "+      prompt_cache: {mode: on, percent: 50}" in out
    assert "permission denied" in out


def test_with_nothing_to_change_apply_says_no(place: Path) -> None:
    fill(place, FEW_REQUESTS, 3.0)
    code, out = run(place, "--apply", "--route", "support")
    assert code == 1
    assert "wait: 180 requests more" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--route", "suport"), "'suport' is no route"), (("--since", "soon"), "neither a span nor a date")],
)
def test_bad_input_is_named(place: Path, arguments: tuple[str, str], said: str) -> None:
    code, out = run(place, *arguments)
    assert code == 2
    assert said in out
