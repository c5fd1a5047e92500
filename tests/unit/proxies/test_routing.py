"""Which deployments of a group are left to LiteLLM: those of the model that was decided on, or the strong one's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fivelevers.engine import Answer, Plan, prepare
from fivelevers.policy import Caller, parse
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from tests.unit.levers.routing.test_artifact import ARTIFACT
from tests.unit.proxies.routed import loaded, routing_state

NOW = 1_700_000_000.0
EASY, HARD = "hello friend nice day", "statute court appeal clause"
POLICY = """
defaults: {holdout: 0}
routes:
  - {name: greetings, match: {model: tiers}, levers: {routing: {mode: "on", artifact: a.route}}}
  - {name: law, match: {model: law}, levers: {routing: {mode: "on", artifact: a.route, callers_may_choose: true}}}
  - {name: taxes, match: {model: taxes}, levers: {routing: {mode: "on", artifact: a.route}}}
  - {name: watched, match: {model: watched}, levers: {routing: {mode: shadow, artifact: a.route}}}
  - {name: idle, match: {model: idle}, levers: {routing: {mode: "off", artifact: a.route}}}
  - {name: held, match: {model: held}, holdout: 0.5, levers: {routing: {mode: "on", artifact: a.route}}}
  - {name: lost, match: {model: lost}, levers: {routing: {mode: "on", artifact: none.route, strong: strong}}}
  - {name: bare, match: {model: bare}, levers: {routing: {mode: "on"}}}
"""


def deployment(model: str, name: str = "", **info: Any) -> dict[str, Any]:
    about = {"id": name or model, "fivelevers_model": model, **info}
    return {"model_name": "tiers", "litellm_params": {"model": f"openai/{model}"}, "model_info": about}


GROUP = [deployment("weak"), deployment("strong"), deployment("weak", "weak-2")]


@pytest.fixture
def module(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("fivelevers.proxies.litellm.routing", proxy_server, monkeypatch)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    with routing_state(POLICY, tmp_path, monkeypatch) as made:
        yield made


def asked(content: Any = EASY, model: str = "tiers", **more: Any) -> tuple[Plan, dict[str, Any]]:
    """``headers`` beside the fields of the body; ``content`` may be the turns."""
    headers = {"x-fivelevers-session": "s", **more.pop("headers", {})}
    turns = content if isinstance(content, list) else [{"role": "user", "content": content}]
    body = {"model": model, "messages": turns, **more}
    request = parse_request(Api.CHAT, body)
    return prepare(request, body, Caller("/", headers, "k"), parse(POLICY), request_id="r", now=NOW), body


def answer(name: str) -> Answer:
    return Answer(
        at=NOW, started_at=NOW, model=name, provider="openai", provider_key=None, deployment=name,
        provider_request_id=None, success=True, error=None, finish_reason="stop", usage=Usage(10, output=5),
        reported=True,
    )  # fmt: skip


def went(routing: Any, group: list[Any] | None = None, *, answered: bool = False, **kwargs: Any) -> list[str]:
    """The models that are left."""
    given = GROUP if group is None else group
    found = asyncio.run(routing.among("tiers", given, kwargs, answered=answered)) or given
    return [row["model_info"]["fivelevers_model"] for row in found]


def route(module: ModuleType, state: State, *args: Any, **more: Any) -> tuple[list[str], str]:
    made = module.routing(*asked(*args, **more), state)
    return went(made), made.said.partition(";")[0]


@pytest.mark.parametrize(
    ("content", "model", "headers", "left", "said"),
    [
        (EASY, "tiers", {}, ["weak", "weak"], "routed"),
        (HARD, "law", {}, ["strong"], "worth-it"),
        (HARD, "tiers", {"x-fivelevers-task": "law"}, ["strong"], "worth-it"),
        (EASY, "taxes", {}, ["strong"], "unknown-route"),
        (EASY, "tiers", {"x-fivelevers-task": "odd"}, ["strong"], "unknown-route"),
        (EASY, "tiers", {"x-fivelevers-skip": "routing"}, ["strong"], "skipped"),
        (EASY, "watched", {"x-fivelevers-task": "greetings"}, ["strong"], "shadow routed"),
        (EASY, "idle", {}, ["strong"], "off"),
        (EASY, "lost", {}, ["strong"], "no-artifact"),
        ("", "tiers", {}, ["strong"], "no-prompt"),
        (HARD, "law", {"x-fivelevers-model": "weak"}, ["weak", "weak"], "caller"),
        (HARD, "law", {"x-fivelevers-model": "other"}, ["strong"], "worth-it"),
        (EASY, "tiers", {"x-fivelevers-model": "strong"}, ["weak", "weak"], "routed"),  # callers may not choose there
    ],
)
def test_where_a_request_goes_and_why(
    module: ModuleType, state: State, content: str, model: str, headers: Mapping[str, str], left: list[str], said: str
) -> None:
    assert route(module, state, content, model, headers=headers) == (left, said)


def test_no_request_reads_or_looks_at_an_artifact(
    module: ModuleType, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the first one, which would hold up all others of its loop."""

    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a request looks at a file")

    requests = [asked(EASY, "tiers"), asked(HARD, "law")]
    with monkeypatch.context() as patch:
        patch.setattr("fivelevers.stores.route_artifacts.load", never)
        patch.setattr("fivelevers.stores.named_files._stamp", never)
        made = [module.routing(*request, state) for request in requests]
    assert [went(one) for one in made] == [["weak", "weak"], ["strong"]]


def test_the_holdout_has_the_strong_model(module: ModuleType, state: State) -> None:
    said = {route(module, state, EASY, "held", headers={"x-fivelevers-session": str(n)})[1] for n in range(30)}
    assert said == {"holdout", "unknown-route"}


def test_without_an_artifact_and_a_strong_model_litellm_balances(module: ModuleType, state: State) -> None:
    assert module.routing(*asked(EASY, "bare"), state) is None


def test_a_group_without_these_models_is_left_alone(module: ModuleType, state: State) -> None:
    others = [deployment("other"), deployment("another")]
    assert went(module.routing(*asked(), state), others) == ["other", "another"]
    assert went(module.routing(*asked(), state), []) == []


def test_where_only_one_model_is_healthy_it_answers(module: ModuleType, state: State) -> None:
    assert went(module.routing(*asked(HARD, "law"), state), GROUP[:1]) == ["weak"]
    assert went(module.routing(*asked(), state), GROUP[1:2]) == ["strong"]


def test_what_nobody_is_asked_for_is_at_the_strong_model(module: ModuleType, state: State) -> None:
    assert went(module.routing(*asked(), state), answered=True) == ["strong"]


def test_a_cheaper_model_that_failed_is_not_asked_again(module: ModuleType, state: State) -> None:
    made = module.routing(*asked(), state)
    assert went(made) == ["weak", "weak"]
    made.failed("weak-2")
    assert went(made) == ["strong"]
    assert made.said.startswith("failed")


def test_a_model_that_lacks_what_the_request_needs_is_not_asked(module: ModuleType, state: State) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    made = module.routing(*asked(tools=tools), state)
    assert went(made) == ["strong"]
    assert made.said.startswith("unable")
    able = [deployment("weak", supports_function_calling=True), deployment("strong")]
    assert went(module.routing(*asked(tools=tools), state), able) == ["weak"]
    near = [{**deployment("weak"), "litellm_params": {"model": "openai/weak", "region_name": "eu"}}, GROUP[1]]
    assert went(module.routing(*asked(), state), near, allowed_model_region="us") == ["strong"]
    assert went(module.routing(*asked(), state), near, allowed_model_region="eu") == ["weak"]


def test_a_deployment_is_known_by_its_model_with_and_without_its_provider(module: ModuleType) -> None:
    names_of = import_module("fivelevers.proxies.litellm.tiers").names_of
    assert names_of({"litellm_params": {"model": "azure/eu/gpt"}}) == {"azure/eu/gpt", "eu/gpt"}
    assert names_of({"litellm_params": {"model": "gpt", "custom_llm_provider": "openai"}}) == {"gpt", "openai/gpt"}
    assert names_of(deployment("weak")) == {"weak"}
    assert names_of(deployment("openai/weak")) == {"openai/weak", "weak"}


SPOKEN = [{"role": "user", "content": HARD}, {"role": "assistant", "content": "So it is."}]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]}
TIED = [{"role": "user", "content": HARD}, CALL, {"role": "tool", "tool_call_id": "c", "content": "1"}]


def test_what_only_one_model_can_go_on_with_stays_there(module: ModuleType, state: State) -> None:
    assert route(module, state, TIED) == (["strong"], "tool-call")
    made = module.routing(*asked(), state)
    went(made)
    asyncio.run(made.answered(answer("weak")))
    assert route(module, state, TIED) == (["weak", "weak"], "tool-call")
    assert route(module, state, TIED, headers={"x-fivelevers-session": "another"})[0] == ["strong"]
    assert route(module, state, TIED, "idle") == (["weak", "weak"], "tool-call")  # whatever the lever may do there


def test_a_conversation_that_moved_to_the_strong_model_is_there(module: ModuleType, state: State) -> None:
    made = module.routing(*asked(), state)
    went(made)
    asyncio.run(made.answered(answer("weak")))
    turns = [*SPOKEN, {"role": "user", "content": HARD}]
    again = module.routing(*asked(turns, headers={"x-fivelevers-task": "law"}), state)
    assert went(again) == ["strong"]
    asyncio.run(again.answered(answer("strong")))
    assert route(module, state, TIED)[0] == ["strong"]


def test_a_response_names_the_deployment_that_goes_on(module: ModuleType, state: State) -> None:
    encode = import_module("litellm.responses.utils").ResponsesAPIRequestUtils._build_responses_api_response_id
    before = encode(custom_llm_provider="openai", model_id="weak-2", response_id="resp_1")
    body = {"model": "tiers", "input": HARD, "previous_response_id": before}
    request = parse_request(Api.RESPONSES, body)
    plan = prepare(request, body, Caller("/", {}, "k"), parse(POLICY), request_id="r", now=NOW)
    made = module.routing(plan, body, state)
    assert (went(made), made.said) == (["weak", "weak"], "stored")


def test_a_routed_attempt_is_compared_with_the_strong_model(module: ModuleType, state: State) -> None:
    made = module.routing(*asked(), state)
    went(made)
    (without,) = made.without_us(answer("weak"), ())
    assert (without.lever, without.payee.model, without.payee.deployment) == ("routing", "strong", "strong")
    assert made.without_us(answer("strong"), ()) == ()


def test_a_fault_of_ours_goes_to_the_strong_model(
    module: ModuleType, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(ARTIFACT), "decide", broken)
    assert route(module, state) == (["strong"], "error")


def test_each_decision_is_recorded_once_and_without_a_clients_words(
    module: ModuleType, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(state.meter, "record", seen.append)
    made = module.routing(*asked(headers={"x-fivelevers-task": "greetings"}), state)
    went(made)
    went(made)
    made.failed("weak")
    went(made)
    assert [(one.reason, one.model, one.chosen, one.task) for one in seen] == [
        ("routed", "weak", "weak", "greetings"),
        ("failed", "strong", "weak", "greetings"),
    ]
    seen.clear()
    went(module.routing(*asked(headers={"x-fivelevers-task": "call Mr Smith"}), state))
    went(module.routing(*asked(EASY, "watched"), state))
    went(module.routing(*asked(EASY, "idle"), state))
    assert [(one.reason, one.mode, one.task) for one in seen] == [
        ("unknown-route", "on", ""),
        ("unknown-route", "shadow", ""),
    ]
