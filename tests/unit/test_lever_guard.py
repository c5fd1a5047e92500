"""Guards on a real ledger: started with the arms, kept over restarts, begun anew after a resume, never guessing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from fivelevers import metrics
from fivelevers.lever_guard import LeverGuard, guarded
from fivelevers.metering.arms import assign, unit_interval
from fivelevers.metering.event import Event, to_record
from fivelevers.metering.outcomes import Outcome
from fivelevers.policy import Policy, parse
from fivelevers.stores import guards
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switches import Switches
from fivelevers.switch import NOTHING_OFF
from tests.redis_server import Server, soon
from tests.unit.events import attempt, outcome

LEVER = "semantic_cache"


def policy(percent: int = 50, **levers: str) -> Policy:
    rest = "".join(f", {name}: {{mode: 'on', percent: {share}}}" for name, share in levers.items())
    return parse(
        "routes: [{name: support, match: {model: s*}, levers: {semantic_cache: {mode: 'on', "
        f"percent: {percent}}}{rest}}}}}]"
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    made.create()
    yield made
    made.close()


@pytest.fixture
def switches(ledger: Ledger) -> Iterator[Switches]:
    made = Switches("", str(ledger.engine.url))
    made.look()
    yield made
    made.close()


def traffic(ledger: Ledger, of: Policy, sessions: int, *, rise: float = 0.0, success: float = 0.95, at: float) -> None:
    """Sessions of one request each, in their arms; what is treated costs more, or fails more."""
    rng, route = np.random.default_rng(5), of.routes[0]
    events: list[Event] = []
    for number in range(sessions):
        name = f"session-{at}-{number}"
        u = unit_interval(route.name, name)
        arm = assign(u, route.holdout, route.shares)
        treated = LEVER in arm.treated
        cost = Decimal(str(round(0.01 * rng.lognormal(0, 0.5) * (1 + rise * treated), 9)))
        made = attempt(session=name, treated=tuple(sorted(arm.treated)), holdout=arm.holdout, at=at + 1, asked_at=at,
                       u=u, cost_usd=cost)  # fmt: skip
        good = rng.random() < (success if treated else 0.95)
        events += [made, outcome(made.request_id, Outcome.SUCCESS if good else Outcome.FAILURE, at=at + 2)]
    assert ledger.insert([to_record(event) for event in events]) == []


def guard_of(of: Policy, switches: Switches) -> LeverGuard:
    return LeverGuard(lambda: of, switches, "", "")


def retreated(switches: Switches) -> frozenset[str]:
    return switches.current().retreated("support")


def test_a_lever_that_makes_success_dearer_goes_back_and_the_switch_says_why(
    ledger: Ledger, switches: Switches
) -> None:
    of = policy()
    guard_of(of, switches).look(ledger, 100.0)
    traffic(ledger, of, 1200, rise=0.5, at=200.0)
    guard_of(of, switches).look(ledger, 300.0)  # another process, or the same one after a restart
    assert retreated(switches) == {LEVER}
    (standing,) = switches.current().standing
    assert standing.actor == "guard"
    assert standing.reason is not None
    assert "a successful output costs" in standing.reason
    assert "sessions treated" in standing.reason
    guard_of(of, switches).look(ledger, 400.0)
    assert len(guards.latest(ledger)) == 1


def test_a_retreat_that_no_store_takes_is_told_once_a_minute_and_tried_again(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_logged_at", {})
    of, nowhere = policy(), Switches("", "")
    guard = guard_of(of, nowhere)
    guard.look(ledger, 100.0)
    traffic(ledger, of, 1200, rise=0.5, at=200.0)
    before = counted("bypass", lever=LEVER, reason="retreat")
    for now in range(300, 305):
        guard.look(ledger, float(now))
    assert counted("bypass", lever=LEVER, reason="retreat") == before + 5
    (line,) = (record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR"))
    assert f"{LEVER} on support must go back to shadow (a successful output costs" in line
    assert "neither Redis nor a ledger is configured" in line


def counted(metric: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"fivelevers_{metric}_total", labels) or 0.0


def test_a_lever_whose_answers_fail_goes_back(ledger: Ledger, switches: Switches) -> None:
    of = policy()
    guard_of(of, switches).look(ledger, 100.0)
    traffic(ledger, of, 1500, success=0.8, at=200.0)
    guard_of(of, switches).look(ledger, 300.0)
    assert retreated(switches) == {LEVER}


def test_a_lever_that_does_no_harm_stays_however_often_the_same_evidence_is_read(
    ledger: Ledger, switches: Switches
) -> None:
    of = policy()
    guard = guard_of(of, switches)
    guard.look(ledger, 100.0)
    traffic(ledger, of, 1200, at=200.0)
    for now in range(300, 320):
        guard.look(ledger, float(now))
    assert retreated(switches) == frozenset()


def test_after_a_resume_what_was_seen_before_counts_no_more(ledger: Ledger, switches: Switches) -> None:
    of, now = policy(), time.time()
    guard = guard_of(of, switches)
    guard.look(ledger, now - 1000)
    traffic(ledger, of, 1200, rise=0.5, at=now - 900)
    guard.look(ledger, now)
    switches.resume("support", LEVER, actor="ann", reason="mended")
    assert retreated(switches) == frozenset()
    guard.look(ledger, time.time() + 1)
    guard.look(ledger, time.time() + 2)
    assert retreated(switches) == frozenset()
    assert guards.latest(ledger)["support", LEVER].number == 2


def test_another_share_is_another_guard_and_the_same_policy_is_the_same_guard(
    ledger: Ledger, switches: Switches
) -> None:
    for of in (policy(10), policy(10), policy(50)):
        guard_of(of, switches).look(ledger, 100.0)
    assert guards.latest(ledger)["support", LEVER].number == 2


def test_of_levers_on_for_the_same_sessions_the_last_adopted_answers_first(switches: Switches) -> None:
    route = policy(100, prompt_cache="100", routing="30").routes[0]
    found = {one.lever: (set(one.inside), set(one.outside)) for one in guarded(route, NOTHING_OFF)}
    assert found == {
        "routing": ({"prompt_cache", LEVER, "routing"}, {"prompt_cache", LEVER}),
        LEVER: ({"prompt_cache", LEVER}, set()),
    }
    switches.off("support", LEVER, actor="ann", reason=None)
    assert [one.lever for one in guarded(route, switches.current())] == ["routing", "prompt_cache"]


def test_the_batch_lane_has_no_guard() -> None:
    route = parse("order: warn\nroutes: [{name: support, match: {model: s*}, levers: {batch: {mode: 'on'}}}]").routes[0]
    assert list(guarded(route, NOTHING_OFF)) == []


def test_one_process_at_a_time_looks_and_another_takes_over(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes' guards on one Redis; each counts its looks. Who ends gives its turn back at once."""
    monkeypatch.setattr("fivelevers.lever_guard.LOOK_EVERY_S", 0.05)
    server, url = Server(tmp_path), str(ledger.engine.url)
    looks: list[int] = []

    class Counting(LeverGuard):
        def __init__(self, number: int) -> None:
            super().__init__(policy, Switches("", url), server.url, url)
            self.number = number

        def look(self, ledger: Ledger, now: float) -> None:
            looks.append(self.number)

    pair = [Counting(number) for number in range(2)]
    try:
        for one in pair:
            one.ensure()
        assert soon(lambda: len(looks) >= 3)
        (holder,) = set(looks)
        pair[holder].close()
        assert soon(lambda: 1 - holder in looks)
        server.kill()  # without Redis each looks for itself
        before = len(looks)
        assert soon(lambda: len(looks) > before + 2)
    finally:
        for one in pair:
            one.close()
        server.kill()
