"""What a way out takes from one request's plan, and from a whole process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fivelevers.engine import Plan, prepare
from fivelevers.order import LEVER_NAMES, Mode
from fivelevers.policy import Caller, parse
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from fivelevers.switch import ANY, EVERY_LEVER, NOTHING_OFF, Action, Board, Switch

POLICY = parse(
    """
routes:
  - name: support
    match: {model: support-*}
    holdout: 0
    levers: {prompt_cache: {mode: "on"}, semantic_cache: {mode: shadow}, batch: {mode: "on"}}
"""
)
SUPPORT_BATCH_OFF = NOTHING_OFF.merged([Switch(1.0, "e", Action.OFF, "support", "batch", "ann", None)])
ALL_OFF = NOTHING_OFF.merged([Switch(1.0, "e", Action.OFF, ANY, ANY, "ann", None)])
RETREATED = NOTHING_OFF.merged([Switch(1.0, "e", Action.RETREAT, "support", "prompt_cache", "guard", "dear")])


def plan(header: str = "", *, board: Board = NOTHING_OFF, model: str = "support-assistant") -> Plan:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    caller = Caller(path="/v1/chat/completions", headers={"x-fivelevers-skip": header} if header else {}, key="k")
    request = parse_request(Api.CHAT, body)
    return prepare(request, body, caller, POLICY, request_id="r", now=0.0, off=board.off, retreated=board.retreated)


def test_without_a_way_out_the_policy_acts() -> None:
    assert plan().arm.treated == {"prompt_cache", "batch"}
    assert (plan().skipped, plan().unknown_skips) == ((), 0)


def test_a_header_a_switch_or_both_take_levers_away_and_are_told_in_order() -> None:
    assert plan("batch").arm.treated == plan(board=SUPPORT_BATCH_OFF).arm.treated == {"prompt_cache"}
    assert plan("prompt_cache", board=SUPPORT_BATCH_OFF).skipped == ("prompt_cache", "batch")
    assert plan("semantic_cache").skipped == ("semantic_cache",)
    assert plan("all").skipped == plan(board=ALL_OFF).skipped == LEVER_NAMES
    assert plan("all").arm.treated == plan(board=ALL_OFF).arm.treated == frozenset()
    assert plan("nonsense").arm.treated == {"prompt_cache", "batch"}
    assert plan("nonsense").unknown_skips == 1


def test_a_lever_that_retreated_looks_on_in_shadow() -> None:
    back = plan(board=RETREATED)
    assert back.arm.treated == {"batch"}
    assert (back.mode("prompt_cache"), back.mode("batch")) == (Mode.SHADOW, Mode.ON)
    assert plan("prompt_cache", board=RETREATED).mode("prompt_cache") is Mode.OFF
    assert plan(board=RETREATED, model="else").mode("prompt_cache") is Mode.OFF


def test_a_switch_of_one_route_leaves_the_others() -> None:
    assert plan(board=SUPPORT_BATCH_OFF, model="else").skipped == ()


def test_a_way_out_moves_nobody_to_another_arm() -> None:
    assert (plan("all").u, plan("all").arm.holdout) == (plan().u, plan().arm.holdout)


@pytest.mark.parametrize(
    ("value", "off"),
    [("1", True), ("true", True), ("yes please", True), ("0", False), ("", False), ("False", False), ("no", False)],
)
def test_a_process_started_with_fivelevers_off_has_no_lever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, off: bool
) -> None:
    for name in ("FIVELEVERS_POLICY", "FIVELEVERS_LEDGER_URL", "FIVELEVERS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIVELEVERS_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("FIVELEVERS_OFF", value)
    with caplog.at_level(logging.WARNING):
        state = State.from_environment()
    assert state.off is off
    assert ("no lever acts" in caplog.text) == off
    assert state.levers_off("support") == (EVERY_LEVER if off else frozenset())
    state.switches.close()
