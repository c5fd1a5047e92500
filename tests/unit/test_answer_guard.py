"""What may be served by a calibration, and when its audits call the route back; on a real ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fivelevers.answer_guard import AnswerGuard
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Verdict
from fivelevers.policy import parse
from fivelevers.stores.calibrations import Audits, Calibrated
from fivelevers.stores.switches import Switches

POLICY = parse("routes: [{name: support, match: {model: s*}, levers: {semantic_cache: {mode: shadow}}}]")
HOLDS = Holds("minilm-1", ("gpt-4.1",), ("p1", "p2"))


@pytest.fixture
def switches(tmp_path: Path) -> Iterator[Switches]:
    made = Switches("", f"sqlite:///{tmp_path}/ledger.db")
    made.look()
    yield made
    made.close()


def calibrated(verdict: Verdict = Verdict.SERVE, route: str = "support") -> Calibrated:
    made = Calibration(verdict, 0.03, 900, 800, 1.0, 2.0, HOLDS)
    return Calibrated(time.time(), route, "semantic_cache", "ann", made.to_json())


def test_a_calibration_serves_what_it_holds_for_alone(switches: Switches) -> None:
    guard, found = AnswerGuard(lambda: POLICY, switches), calibrated()
    assert guard.serving(found, "minilm-1", "p2") is not None
    assert guard.serving(found, "minilm-2", "p2") is None
    assert guard.serving(found, "minilm-1", "p3") is None
    assert guard.serving(calibrated(Verdict.NEED_MORE), "minilm-1", "p1") is None
    damaged = Calibrated(1.0, "support", "semantic_cache", "ann", {"version": 99})
    assert guard.serving(damaged, "minilm-1", "p1") is None


def test_a_breach_retreats_the_route_once_and_says_why(switches: Switches) -> None:
    guard = AnswerGuard(lambda: POLICY, switches)
    guard.audited(calibrated(), Audits(judged=300, wrong=6))
    assert switches.current().retreated("support") == frozenset()
    for _ in range(2):
        guard.audited(calibrated(), Audits(judged=300, wrong=30))
    assert switches.current().retreated("support") == {"semantic_cache"}
    (standing,) = switches.current().standing
    assert standing.reason == "30 of 300 audited hits were wrong; 3.0% is promised"
    assert standing.actor == "guard"


def test_a_route_that_the_policy_has_no_longer_is_left_alone(switches: Switches) -> None:
    AnswerGuard(lambda: POLICY, switches).audited(calibrated(route="gone"), Audits(300, 300))
    assert switches.current().standing == ()
