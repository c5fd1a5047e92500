"""The failure modes of an external processor, on the real Envoy: whatever the filter does, each request is executed
once and answered.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fivelevers.embedded.ports import HOST
from tests.redis_server import soon
from tests.wire.envoy_rig import ASYNC, CHAT, PIPELINE, Answered, Rig

POLICY = "routes: [{name: tickets, match: {model: ticket-*}, levers: {batch: {mode: on, inspect: body}}}]"
BACKGROUND = {"model": "ticket-a", "background": True}
LIVE = ("hang", "error", "garbage", "empty", "return", "slow", "wrong-phase")
PHASES = ("request_headers", "request_body")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("failures"), POLICY, limit="0.3s")  # as shipped
    try:
        rig.start_envoy()
        yield rig
    finally:
        rig.close()


@pytest.fixture
def bad(rig: Rig) -> Iterator[Rig]:
    rig.run_filter([sys.executable, "-m", "tests.wire.bad_filter", f"{HOST}:{rig.port('filter')}"])
    yield rig
    rig.stop_filter()


def by_headers(rig: Rig, how: str) -> Answered:
    return rig.ask(headers={**ASYNC, "x-misbehave": how})


def by_body(rig: Rig, how: str, phase: str) -> Answered:
    return rig.ask(headers={**PIPELINE, "x-misbehave": f"{how}@{phase}"}, body=BACKGROUND)


def test_without_a_filter_everything_goes_live_at_once(rig: Rig) -> None:
    for headers in (ASYNC, PIPELINE):
        assert rig.ask(headers=headers, body=BACKGROUND).once.path == CHAT
    assert rig.stat("message_timeouts") == 0


def test_a_filter_that_misbehaves_lets_each_request_go_live_once(bad: Rig) -> None:
    jobs = [(how, phase) for how in LIVE for phase in (*PHASES, "")]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda job: by_body(bad, *job) if job[1] else by_headers(bad, job[0]), jobs))
    for job, answer in zip(jobs, answers, strict=True):
        assert answer.status == 200, job
        assert [each.path for each in answer.arrived] == [CHAT], job
    # What came late, or was nothing, did nothing: after all of it nothing more has been executed.
    assert set(bad.witness.executions().values()) == {1}
    assert bad.stat("failure_mode_allowed") >= len(LIVE)
    assert bad.stat("message_timeouts") >= 2


def test_more_than_a_verdict_executes_nothing_twice(bad: Rig) -> None:
    for how in ("twice", "verdict-then-error"):
        for answer in (by_headers(bad, how), by_body(bad, how, "request_body")):
            assert answer.once  # diverted, unless the error overtakes the verdict


def test_a_filter_that_crashes_and_one_that_is_not_there(bad: Rig) -> None:
    def gone() -> bool:
        # On a busy machine Envoy may give a request up before the filter has read it, and nothing crashes: ask again.
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: by_headers(bad, "crash"), range(4)))
        assert not any(answer.once.diverted for answer in answers)
        return bad.filter_hosts() == 0

    assert soon(gone)
    failed = bad.stat("message_timeouts")
    assert not by_headers(bad, "hang").once.diverted
    assert not by_body(bad, "hang", "request_body").once.diverted
    assert bad.stat("message_timeouts") == failed  # nobody was waited for


def test_under_load_the_filter_may_be_restarted_and_killed(rig: Rig) -> None:
    rig.start_filter()
    done: list[Answered] = []
    going = True

    def load() -> None:
        while going:
            done.append(rig.ask(headers=ASYNC))
            done.append(rig.ask(headers=PIPELINE, body=BACKGROUND))
            time.sleep(0.005)  # two processors have to start filters beside it

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(load) for _ in range(4)]
        try:
            for how in (signal.SIGTERM, signal.SIGKILL):
                before = len(done)
                assert soon(lambda before=before: len(done) > before + 60)  # type: ignore[misc]
                os.kill(rig.filter_pid, how)
                assert soon(lambda: rig.filter_hosts() == 0)
                rig.stop_filter()
                rig.start_filter()
        finally:
            going = False
        for each in running:
            each.result()
    lanes = [answer.once.diverted for answer in done]
    assert any(lanes)
    assert not all(lanes)
    assert len(rig.witness.executions()) >= len(done)
    assert set(rig.witness.executions().values()) == {1}
    rig.stop_filter()


def test_a_stopped_process_is_waited_for_once_and_then_left_alone(rig: Rig) -> None:
    rig.start_filter()
    os.kill(rig.filter_pid, signal.SIGSTOP)
    try:
        assert not rig.ask(headers=ASYNC).once.diverted
        assert soon(lambda: rig.filter_hosts() == 0)
        assert not rig.ask(headers=ASYNC).once.diverted
    finally:
        os.kill(rig.filter_pid, signal.SIGCONT)
    assert soon(lambda: rig.ask(headers=ASYNC).once.diverted)
    rig.stop_filter()
