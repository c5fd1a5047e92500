"""A route that is watched: answers are compared, counted, and a certificate that does not hold sends it to shadow."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fivelevers import metrics
from fivelevers.engine import prepare
from fivelevers.output import Output
from fivelevers.policy import Caller, parse
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from fivelevers.stores.daily_spend import DailySpend
from fivelevers.stores.watched import Watched
from tests.redis_server import Server
from tests.unit.proxies.routed import loaded, routing_state
from tests.unit.proxies.test_routing import EASY, GROUP, NOW, answer, went

POLICY = """
defaults: {holdout: 0, validators: [{regex: right}]}
routes:
  - name: greetings
    match: {model: tiers}
    levers: {routing: {mode: "on", artifact: a.route, watch_share: 0.5}}
  - name: shadowed
    match: {model: shadowed}
    levers: {routing: {mode: shadow, artifact: a.route, pair_share: 1.0}}
  - name: judged
    match: {model: judged}
    validators: []
    levers: {routing: {mode: "on", artifact: a.route, watch_share: 0.5}}
  - name: asked
    match: {model: asked}
    validators: []
    levers: {routing: {mode: "on", artifact: a.route, watch_share: 0.5}, semantic_cache: {judge: {model: a-judge}}}
  - name: poor
    match: {model: poor}
    levers: {routing: {mode: "on", artifact: a.route, watch_share: 0.5, watch_usd_per_day: 0.0}}
"""
TASK = {"x-fivelevers-task": "greetings"}
# A conversation that goes on is none of the mix.
BEFORE = [{"role": "user", "content": EASY}, {"role": "assistant", "content": "Good morning."}]


@pytest.fixture
def module(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("fivelevers.proxies.litellm.watching", proxy_server, monkeypatch)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    with routing_state(POLICY, tmp_path, monkeypatch) as made:
        yield made


def said(text: str) -> Any:
    """As LiteLLM logs it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, when their classes are first used
        return import_module("litellm").ModelResponse(choices=[{"message": {"role": "assistant", "content": text}}])


def watch(
    module: ModuleType,
    state: State,
    count: int,
    *,
    mine: str,
    theirs: str,
    alias: str = "tiers",
    by: str = "weak",
    before: Sequence[dict[str, str]] = (),
) -> list[str]:
    """``count`` requests, answered by ``by``; the models that were asked behind them, which say ``theirs``."""
    asked: list[str] = []

    async def ask(_: Any, watch: Any, model: str) -> Output:
        asked.append(model)
        return Output(theirs)

    async def all_of_them() -> None:
        for number in range(count):
            body = {"model": alias, "messages": [*before, {"role": "user", "content": EASY}]}
            headers = {"x-fivelevers-session": f"s{number}", **TASK}
            plan = prepare(
                parse_request(Api.CHAT, body), body, Caller("/", headers, "k"), parse(POLICY), request_id=f"r{number}",
                now=NOW, retreated=state.switches.current().retreated,
            )  # fmt: skip
            made = import_module("fivelevers.proxies.litellm.routing").routing(plan, body, state)
            await made.among("tiers", GROUP, {}, answered=False)
            watched = module.watching(made, {"proxy_server_request": {"body": body}})
            watched.answered(answer(by), said(mine))
            await asyncio.gather(*state.tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Watching, "_ask", ask)
        asyncio.run(all_of_them())
    return asked


def retreated(state: State) -> dict[str, str | None]:
    return {switch.route: switch.reason for switch in state.switches.current().standing}


def retreats() -> float:
    labels = {"route": "greetings", "lever": "routing"}
    return metrics.registry.get_sample_value("fivelevers_retreats_total", labels) or 0.0


def test_a_share_of_what_a_cheaper_model_answered_is_asked_again(module: ModuleType, state: State) -> None:
    asked = watch(module, state, 60, mine="right", theirs="right")
    assert set(asked) == {"strong"}
    assert 15 < len(asked) < 45
    assert retreated(state) == {}


def test_what_the_strong_model_answered_is_not_and_counts_as_nothing_lost(module: ModuleType, state: State) -> None:
    assert watch(module, state, 60, mine="wrong", theirs="right", by="strong") == []
    (counted,) = state.watched._counts.values()
    assert 15 < counted["tested"] < 45
    assert counted["lost"] == counted["won"] == 0


def test_the_promise_is_of_all_requests_not_of_those_alone_that_a_cheaper_model_answered(
    module: ModuleType, state: State
) -> None:
    watch(module, state, 700, mine="right", theirs="right", by="strong", before=BEFORE)
    # Alone these send it to shadow, as below; of all that were looked at they are three in a hundred.
    assert len(watch(module, state, 22, mine="wrong", theirs="right")) >= 11
    assert retreated(state) == {}


def test_a_certificate_that_does_not_hold_sends_the_route_to_shadow(module: ModuleType, state: State) -> None:
    before = retreats()
    asked = watch(module, state, 60, mine="wrong", theirs="right")
    (reason,) = retreated(state).values()
    assert reason is not None
    assert "got a worse answer than the strong model's" in reason
    assert retreats() == before + 1
    # From then on the pairs of shadow mode are drawn, and no strong model answers behind a request.
    assert len(asked) < 30


def test_a_route_that_is_asked_otherwise_goes_back_to_shadow(module: ModuleType, state: State) -> None:
    watch(module, state, 190, mine="right", theirs="right")
    assert retreated(state) == {}
    watch(module, state, 30, mine="right", theirs="right")
    (reason,) = retreated(state).values()
    assert reason is not None
    assert "is asked otherwise than when it was certified" in reason


def test_resumed_it_begins_anew(module: ModuleType, state: State) -> None:
    watch(module, state, 60, mine="wrong", theirs="right")
    assert set(retreated(state)) == {"greetings"}
    state.switches.resume("greetings", "routing", actor="me", reason=None)
    watch(module, state, 10, mine="right", theirs="right")
    assert retreated(state) == {}


def test_in_shadow_the_cheaper_model_is_asked(module: ModuleType, state: State) -> None:
    asked = watch(module, state, 8, mine="right", theirs="wrong", alias="shadowed", by="strong")
    assert asked == ["weak"] * 8
    assert retreated(state) == {}


def test_without_validators_another_answer_than_the_strong_models_is_a_loss_where_a_judge_knows(
    module: ModuleType, state: State
) -> None:
    watch(module, state, 60, mine="It is Paris.", theirs="It is paris", alias="judged")
    assert retreated(state) == {}


def test_the_judge_is_paid_from_the_same_purse(
    module: ModuleType, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights: list[Any] = []

    async def judged(model: str, messages: Any) -> str:
        flights.append(import_module("fivelevers.proxies.litellm.flight").current.get())
        return "0"  # none says the same

    monkeypatch.setattr(import_module("fivelevers.proxies.litellm.own_calls"), "ask", judged)
    watch(module, state, 60, mine="It is Paris.", theirs="It is London.", alias="asked")
    assert set(retreated(state)) == {"asked"}
    # Such a call is charged to the lever, and counts against what the watch may spend in a day (hooks.py).
    assert {(one.charged_to, one.heard is not None) for one in flights} == {("routing", True)}


def test_a_budget_that_is_spent_asks_nobody(module: ModuleType, state: State) -> None:
    assert watch(module, state, 20, mine="wrong", theirs="right", alias="poor") == []
    watch(module, state, 20, mine="right", theirs="right", alias="poor", by="strong")
    (counted,) = state.watched._counts.values()
    assert counted["tested"] == 0  # neither do those that would have cost nothing


def test_counts_of_all_proxies_are_added(tmp_path: Path) -> None:
    async def both(url: str) -> None:
        one, other = Watched(url), Watched(url)
        await one.add("a", {"tested": 2, "lost": 1, "3": 2})
        seen = await other.add("a", {"tested": 1, "won": 1})
        assert (seen.tested, seen.lost, seen.won, seen.classes) == (3, 1, 1, {3: 2})
        spent, also = DailySpend(url, "routing"), DailySpend(url, "routing")
        await spent.add("r", 0.25)
        await also.add("r", 0.5)
        assert await spent.spent_usd("r") == 0.75
        assert await DailySpend("", "routing").spent_usd("r") == 0
        for each in (one, other, spent, also):
            await each.close()

    server = Server(tmp_path)
    try:
        asyncio.run(both(server.url))
    finally:
        server.close()


def test_a_forced_request_goes_to_its_model(module: ModuleType, state: State) -> None:
    body = {"model": "tiers", "messages": [{"role": "user", "content": EASY}]}
    plan = prepare(parse_request(Api.CHAT, body), body, Caller("/", TASK, "k"), parse(POLICY), request_id="r", now=NOW)
    made = import_module("fivelevers.proxies.litellm.routing").routing(plan, body, state)
    assert went(module.Forced(made, "strong")) == ["strong"]
    assert went(module.Forced(made, "weak")) == ["weak", "weak"]
