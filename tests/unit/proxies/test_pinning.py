"""What is pinned of LiteLLM's deployments, what is left to LiteLLM, and what an answer teaches."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path as Folder
from types import ModuleType
from typing import Any

import pytest

from fivelevers import metrics
from fivelevers.engine import Answer, Plan, prepare
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.affinity import Path, Step
from fivelevers.levers.prompt_cache.terms import CacheRules, Style
from fivelevers.policy import Caller, parse
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from fivelevers.stores.affinity_memory import MemoryAffinity

NOW = 1_700_000_000.0
LONG = "The rules of the north wing are read aloud on the first Monday of the month. " * 100
POLICY = """
defaults: {holdout: 0}
routes:
  - {name: pinned, match: {model: pinned-*}, levers: {prompt_cache: {mode: "on", affinity: "on"}}}
  - {name: held, match: {model: held-*}, holdout: 0.5, levers: {prompt_cache: {mode: "on", affinity: "on"}}}
"""


def deployment(name: str, provider: str = "hosted_vllm", **about: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"model": f"{provider}/llama"}
    if "order" in about:
        params["order"] = about.pop("order")
    return {"model_name": "pinned-llama", "litellm_params": params, "model_info": {"id": name, **about}}


def plan(content: str = LONG, model: str = "pinned-llama", session: str = "s", skip: str = "") -> Plan:
    request = parse_request(Api.CHAT, {"model": model, "messages": [{"role": "user", "content": content}]})
    headers = {"x-fivelevers-session": session, "x-fivelevers-skip": skip}
    return prepare(request, {}, Caller("/", headers, "k"), parse(POLICY), request_id="r", now=NOW)


def answer(name: str, usage: Usage, provider: str = "hosted_vllm") -> Answer:
    return Answer(
        at=NOW, started_at=NOW, model="llama", provider=provider, provider_key=None, deployment=name,
        provider_request_id=None, success=True, error=None, finish_reason="stop", usage=usage, reported=True,
    )  # fmt: skip


def log(*, details: Mapping[str, int] | None) -> dict[str, Any]:
    return {"standard_logging_object": {"metadata": {"usage_object": {"prompt_tokens_details": details}}}}


@pytest.fixture
def module(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    litellm = import_module("litellm")
    monkeypatch.setattr(proxy_server, "llm_router", litellm.Router(model_list=[]))
    return import_module("fivelevers.proxies.litellm.pinning")


@pytest.fixture
def state(tmp_path: Folder, monkeypatch: pytest.MonkeyPatch) -> State:
    for name in ("FIVELEVERS_POLICY", "FIVELEVERS_REDIS_URL", "FIVELEVERS_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIVELEVERS_STATE_DIR", str(tmp_path))
    return State.from_environment()


def among(module: ModuleType, state: State, given: list[Any], what: Plan | None = None, **kwargs: Any) -> list[str]:
    pin = module.pinning(what or plan(), {}, state)
    found = asyncio.run(pin.among("pinned-llama", given, kwargs)) or given
    return [row["model_info"]["id"] for row in found]


def test_one_of_several_replicas_is_chosen_and_the_next_turn_stays(module: ModuleType, state: State) -> None:
    fleet = [deployment("a"), deployment("b")]
    (first,) = among(module, state, fleet)
    assert among(module, state, fleet, plan("Something else. " * 500)) != [first]
    assert among(module, state, fleet[::-1]) == [first]


def test_a_later_filter_of_litellm_s_would_leave_nothing_of_another_choice(module: ModuleType, state: State) -> None:
    fleet = [deployment("a", order=2), deployment("b", order=1), deployment("c", order=1)]
    assert among(module, state, fleet, _excluded_deployment_ids=["b"]) == ["a", "b", "c"]  # one is left: its choice
    assert among(module, state, fleet) in (["b"], ["c"])
    assert among(module, state, fleet, _target_order=2) == ["a", "b", "c"]


@pytest.mark.parametrize("said", [{"enable_pre_call_checks": True}, {"routing_strategy": "usage-based-routing-v2"}])
def test_where_a_limit_may_be_reached_that_only_litellm_knows_nothing_is_pinned(
    module: ModuleType, state: State, proxy_server: ModuleType, said: Mapping[str, Any]
) -> None:
    for name, value in said.items():
        setattr(proxy_server.llm_router, name, value)
    assert among(module, state, [deployment("a"), deployment("b")]) == ["a", "b"]


def test_a_single_deployment_and_an_empty_list_pass(module: ModuleType, state: State) -> None:
    assert among(module, state, [deployment("a")]) == ["a"]
    assert among(module, state, []) == []


def test_a_store_that_fails_leaves_the_list_and_is_counted(module: ModuleType, state: State) -> None:
    class Broken(MemoryAffinity):
        async def place(self, *args: Any) -> Any:
            raise StoreError("gone")

    broken = replace(state, affinity=Broken())
    before = metrics.bypass.labels("prompt_cache", "affinity")._value.get()
    assert among(module, broken, [deployment("a"), deployment("b")]) == ["a", "b"]
    assert metrics.bypass.labels("prompt_cache", "affinity")._value.get() == before + 1


def test_a_failed_replica_is_not_asked_again_by_the_same_request(module: ModuleType, state: State) -> None:
    async def twice() -> list[str]:
        pin, fleet = module.pinning(plan(), {}, state), [deployment("a"), deployment("b")]
        chosen = []
        for _ in range(3):
            (one,) = await pin.among("pinned-llama", fleet, {})
            chosen.append(one["model_info"]["id"])
            await pin.failed(chosen[-1])
        return chosen

    first, second, _ = asyncio.run(twice())
    assert {first, second} == {"a", "b"}


def test_the_holdout_goes_where_litellm_sends_it_and_tells_where_that_was(module: ModuleType, state: State) -> None:
    held = next(p for n in range(50) if (p := plan(model="held-llama", session=str(n))).arm.holdout)
    treated = next(p for n in range(50) if not (p := plan(model="held-llama", session=str(n))).arm.holdout)
    fleet = [deployment("a"), deployment("b")]

    async def answered() -> None:
        pin = module.pinning(held, {}, state)
        assert await pin.among("pinned-llama", fleet, {}) is None
        await pin.answered(answer("b", Usage(input=2000)), log(details=None))

    asyncio.run(answered())
    assert among(module, state, fleet, treated) == ["b"]


def test_an_answer_from_a_cache_leaves_nothing_behind(module: ModuleType, state: State) -> None:
    fleet = [deployment("a"), deployment("b")]

    async def hit() -> None:
        pin = module.pinning(plan(), {}, state)
        (chosen,) = await pin.among("pinned-llama", fleet, {})
        cached = replace(answer(chosen["model_info"]["id"], Usage()), usage=None)
        await pin.answered(cached, log(details=None))

    async def held() -> list[int]:
        replicas = [module.replica_of(one) for one in fleet]
        path = module.pinning(plan(), {}, state).path
        return [(await state.affinity.place("pinned-llama", [one], path)).held for one in replicas]

    asyncio.run(hit())
    assert asyncio.run(held()) == [0, 0]


def test_of_one_that_is_left_while_others_cool_down_it_is_known_what_it_holds(
    module: ModuleType, state: State, proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm, fleet = import_module("litellm"), [deployment("a"), deployment("b")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        monkeypatch.setattr(proxy_server, "llm_router", litellm.Router(model_list=fleet))

    async def answered() -> None:
        pin = module.pinning(plan(), {}, state)
        assert await pin.among("pinned-llama", fleet[1:], {}) is None
        await pin.answered(answer("b", Usage(input=2000)), log(details=None))

    asyncio.run(answered())
    assert among(module, state, fleet) == ["b"]


def test_a_managed_prefix_stays_where_its_usage_says_that_it_was_written(module: ModuleType, state: State) -> None:
    workspaces = [deployment("a", "anthropic"), deployment("b", "anthropic")]

    async def answered(**tokens: int) -> None:
        pin = module.pinning(plan(), {}, state)
        await pin.among("pinned-llama", workspaces, {})
        await pin.answered(answer("b", Usage(**tokens), "anthropic"), log(details=None))

    assert among(module, state, workspaces) == ["a", "b"]
    asyncio.run(answered(input=2000))  # nothing was marked
    assert among(module, state, workspaces) == ["a", "b"]
    asyncio.run(answered(input=20, cache_write_5m=1980))
    assert among(module, state, workspaces) == ["b"]


def test_a_replica_that_tells_cached_tokens_and_finds_none_has_evicted(module: ModuleType, state: State) -> None:
    fleet, clock = [deployment("a"), deployment("b")], [0.0]
    state = replace(state, affinity=MemoryAffinity(lambda: clock[0]))

    async def ask(details: Mapping[str, int] | None, **tokens: int) -> tuple[str, str]:
        pin = module.pinning(plan(), {}, state)
        (chosen,) = await pin.among("pinned-llama", fleet, {})
        name = chosen["model_info"]["id"]
        await pin.answered(answer(name, Usage(**tokens)), log(details=details))
        return name, pin.said

    async def conversation() -> None:
        name, _ = await ask(None, input=2000)
        clock[0] += 100
        assert await ask({"cached_tokens": 1900}, input=100, cache_read=1900) == (name, "held=1925 of=1925")
        pin = module.pinning(plan("Something old. " * 200), {}, state)
        await pin.among("pinned-llama", [fleet[0 if name == "a" else 1]] * 2, {})
        clock[0] += 100
        await ask(None, input=2000)  # nothing was cached: it says so by saying nothing
        held = await state.affinity.place("pinned-llama", [module.replica_of(deployment(name))], pin.path)
        assert held.held == 0

    asyncio.run(conversation())


def test_the_first_token_of_a_stream_is_known_from_the_log(module: ModuleType, state: State) -> None:
    seen = []

    class Store(MemoryAffinity):
        async def ended(self, placement: Any, ending: Any) -> None:
            seen.append(ending.first_token_ago_s is not None)

    watching = replace(state, affinity=Store())

    async def ask(began: float) -> None:
        pin = module.pinning(plan(), {}, watching)
        await pin.among("pinned-llama", [deployment("a"), deployment("b")], {})
        began_at = {"completion_start_time": datetime.fromtimestamp(began, UTC)}
        await pin.answered(answer("a", Usage(input=2000)), log(details=None) | began_at)

    asyncio.run(ask(NOW - 3))
    asyncio.run(ask(NOW))  # a plain answer: LiteLLM writes its end
    assert seen == [True, False]


@pytest.mark.parametrize("hint", ["previous_response_id", "conversation", "prompt"])
def test_a_prompt_that_is_not_in_the_request_is_left_alone(module: ModuleType, state: State, hint: str) -> None:
    assert module.pinning(plan(), {hint: "x"}, state) is None
    assert module.pinning(plan(skip="prompt_cache"), {}, state) is None
    assert module.pinning(plan(model="other"), {}, state) is None


def test_what_an_operator_says_of_a_replica(module: ModuleType) -> None:
    own = module.replica_of(deployment("a", fivelevers_kv_tokens=64_000, fivelevers_prefill_tokens_per_s=9000.0))
    assert (own.kv_tokens, own.prefill_tokens_per_s) == (64_000, 9000.0)
    assert module.replica_of(deployment("a", "openai")) is None
    assert module.replica_of(deployment("a", "openai", fivelevers_replica=True)).kv_tokens == 1_000_000
    assert module.replica_of(deployment("a", fivelevers_replica=False)) is None
    assert module.replica_of(deployment("a", fivelevers_kv_tokens="many")).kv_tokens == 1_000_000


def test_how_much_of_a_path_lives_and_for_how_long(module: ModuleType) -> None:
    path = Path(tuple(Step(bytes([at] * 8), 1000) for at in range(4)), 4300)

    def lifetime(rules: CacheRules, **tokens: int) -> tuple[int, int]:
        kept, ttl_s = module.lifetime(rules, Usage(**tokens), path)
        return len(kept.steps), ttl_s

    marks, automatic = CacheRules(Style.MARKS), CacheRules(Style.AUTOMATIC, ttls_s=())
    assert lifetime(marks, input=2200, cache_read=2100) == (2, 300)
    assert lifetime(marks, input=100, cache_read=3000, cache_write_1h=1000) == (4, 3600)
    assert lifetime(marks, input=4300)[1] == 0
    assert lifetime(automatic, input=4300) == (4, 300)
    assert lifetime(automatic, input=900)[1] == 0
    assert lifetime(CacheRules(Style.BREAKPOINTS, ttls_s=(1800,)), input=10, cache_write_5m=4290) == (4, 1800)
