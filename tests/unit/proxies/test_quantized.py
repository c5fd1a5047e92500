"""Who answers where a group holds the original and its quantised model, and what the servers have to say before."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fivelevers.embedded.ports import HOST, Port
from fivelevers.engine import Answer, Payee, Plan, WithoutUs, prepare
from fivelevers.levers.quantization.gated import Served
from fivelevers.metering.attribution import Basis
from fivelevers.policy import Caller, Policy, parse
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.served import ServedLooks
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from fivelevers.stores import gated
from tests.redis_server import soon
from tests.unit.levers.quantization.registered import GATED, original, quantised
from tests.unit.proxies.routed import loaded, routing_state

NOW = 1_700_000_000.0
POLICY = """
defaults: {holdout: 0}
routes:
  - {name: chat, match: {model: llama}, levers: {quantization: {mode: "on", registration: chat.fp8}}}
  - {name: half, match: {model: half}, levers: {quantization: {mode: "on", percent: 0, registration: chat.fp8}}}
  - {name: held, match: {model: held}, holdout: 0.5, levers: {quantization: {mode: "on", registration: chat.fp8}}}
  - {name: seen, match: {model: seen}, levers: {quantization: {mode: shadow, registration: chat.fp8}}}
  - {name: idle, match: {model: idle}, levers: {quantization: {mode: "off", registration: chat.fp8}}}
  - {name: lost, match: {model: lost}, levers: {quantization: {mode: "on", registration: none.fp8}}}
  - {name: open, match: {model: open}, levers: {quantization: {mode: shadow}}}
"""
FP8, BF16 = "fp8", "bf16"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model server, as the simulator's replica `fp8` is one."""
    port = Port()
    command = [sys.executable, "-m", "examples.provider_simulator", "--port", str(port.number), "--latency-scale", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"provider simulator on")
    yield f"http://{HOST}:{port.number}/replica/fp8"
    process.kill()
    process.communicate()
    port.release()


@pytest.fixture
def module(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("fivelevers.proxies.litellm.quantized", proxy_server, monkeypatch)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> Iterator[State]:
    served = Served(server, FP8, "/models/fp8", "0.23.0")
    gated.write(tmp_path / "chat.fp8", replace(GATED, candidate=served))
    with routing_state(POLICY, tmp_path, monkeypatch) as made:
        yield made


def group(state: State, server: str, alias: str = "llama", **params: Any) -> list[dict[str, Any]]:
    there = {"model": "hosted_vllm/fp8", "api_base": f"{server}/v1", **params}
    name = state.registrations.of("chat.fp8").name
    return [original(alias), quantised(name, alias, **there)]


def heard(state: State, deployments: list[dict[str, Any]]) -> None:
    """As the policy's thread does it, once the proxy has its deployments."""
    state.served._deployments = lambda: deployments
    state.served._due_at = 0.0
    state.served.look(state.policy.current())
    assert soon(lambda: state.served.of(deployments[1]) is not None)


def planned(model: str = "llama", session: str = "s", **headers: str) -> Plan:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello?"}]}
    caller = Caller("/", {"x-fivelevers-session": session, **headers}, "k")
    return prepare(parse_request(Api.CHAT, body), body, caller, parse(POLICY), request_id="r", now=NOW)


def went(made: Any, deployments: list[dict[str, Any]], *, answered: bool = False, **kwargs: Any) -> list[str]:
    found = asyncio.run(made.among("llama", deployments, kwargs, answered=answered))
    rows = deployments if found is None else found
    return [BF16 if row["model_info"]["id"] == BF16 else FP8 for row in rows]


@pytest.mark.parametrize(
    ("model", "headers", "to", "said"),
    [
        ("llama", {}, FP8, "fp8"),
        ("llama", {"x-fivelevers-skip": "quantization"}, BF16, "skipped"),
        ("llama", {"x-fivelevers-skip": "all"}, BF16, "skipped"),
        ("half", {}, BF16, "untreated"),
        ("seen", {}, BF16, "shadow fp8"),
        ("idle", {}, BF16, "off"),
        ("lost", {}, BF16, "void"),
        ("open", {}, BF16, "void"),
        ("other", {}, BF16, "off"),
    ],
)
def test_who_answers(
    module: ModuleType, state: State, server: str, model: str, headers: Mapping[str, str], to: str, said: str
) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    made = module.Quantized(planned(model, **headers), state)
    assert (went(made, deployments), made.said) == ([to], said)


def test_a_session_stays_with_whom_it_is_and_the_holdout_has_the_original(
    module: ModuleType, state: State, server: str
) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    first = {name: went(module.Quantized(planned("held", name), state), deployments) for name in "abcdefghijklmnop"}
    again = {name: went(module.Quantized(planned("held", name), state), deployments) for name in first}
    assert again == first
    assert {tuple(to) for to in first.values()} == {(FP8,), (BF16,)}
    for name, to in first.items():
        assert (to == [BF16]) is planned("held", name).arm.holdout


def test_a_retreat_sends_all_to_the_original(module: ModuleType, state: State, server: str) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    plan = planned()
    back = replace(plan, arm=replace(plan.arm, treated=frozenset()), retreated=frozenset({"quantization"}))
    made = module.Quantized(back, state)
    assert (went(made, deployments), made.said) == ([BF16], "shadow fp8")


def test_until_its_server_was_heard_the_original_answers(module: ModuleType, state: State, server: str) -> None:
    deployments = group(state, server)
    made = module.Quantized(planned(), state)
    assert (went(made, deployments), made.said) == ([BF16], "void")


@pytest.mark.parametrize("changed", [{"output_cost_per_token": 9e-7}, {"input_cost_per_token": None}])
def test_another_price_voids_the_registration(
    module: ModuleType, state: State, server: str, changed: dict[str, Any]
) -> None:
    deployments = group(state, server, **changed)
    heard(state, deployments)
    made = module.Quantized(planned(), state)
    assert (went(made, deployments), made.said) == ([BF16], "void")


def test_after_a_failed_attempt_the_original_answers(module: ModuleType, state: State, server: str) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    made = module.Quantized(planned(), state)
    assert went(made, deployments) == [FP8]
    made.failed(BF16)
    assert went(made, deployments) == [FP8]
    made.failed(deployments[1]["model_info"]["id"])
    assert (went(made, deployments), made.said) == ([BF16], "failed")


def test_what_nobody_is_asked_for_and_a_levers_own_calls_are_the_originals(
    module: ModuleType, state: State, server: str
) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    assert went(module.Quantized(planned(), state), deployments, answered=True) == [BF16]
    own = module.Quantized(planned(), state, own=True)
    assert (went(own, deployments), own.said) == ([BF16], "own-call")


def test_where_no_original_is_left_the_traffic_passes(module: ModuleType, state: State, server: str) -> None:
    deployments = group(state, server)
    made = module.Quantized(planned("idle"), state)
    assert (went(made, deployments[1:]), made.said) == ([FP8], "original-unavailable")


def test_a_group_without_a_quantised_model_is_left_alone(module: ModuleType, state: State) -> None:
    made = module.Quantized(planned(), state)
    assert asyncio.run(made.among("llama", [original()], {}, answered=False)) is None
    assert made.said == ""


def test_a_fault_of_ours_goes_to_the_original(
    module: ModuleType, state: State, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    monkeypatch.setattr(module, "unfit", lambda *_: 1 / 0)
    made = module.Quantized(planned(), state)
    assert (went(made, deployments), made.said) == ([BF16], "error")


def answer(deployment: str) -> Answer:
    return Answer(
        at=NOW, started_at=NOW, model="fp8", provider="hosted_vllm", provider_key=None, deployment=deployment,
        provider_request_id=None, success=True, error=None, finish_reason="stop", usage=Usage(10, output=5),
        reported=True,
    )  # fmt: skip


def test_a_quantised_answer_is_compared_with_the_original(module: ModuleType, state: State, server: str) -> None:
    deployments = group(state, server)
    heard(state, deployments)
    made = module.Quantized(planned(), state)
    went(made, deployments)
    bf16 = Payee("llama", "hosted_vllm", BF16)
    cached, strong = WithoutUs("prompt_cache", Usage(20), Basis.OBSERVED), Payee("large", None, None)
    routed = WithoutUs("routing", Usage(20), Basis.ESTIMATED, strong)
    found = made.without_us(answer(deployments[1]["model_info"]["id"]), (cached, routed))
    assert [(one.lever, one.payee) for one in found] == [
        ("prompt_cache", bf16), ("routing", strong), ("quantization", bf16),
    ]  # fmt: skip
    assert made.without_us(answer(BF16), (cached,)) == (cached,)


def test_health_says_by_route_why_nothing_passes(
    module: ModuleType, state: State, server: str, proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments = [*group(state, server), *group(state, server, "seen", output_cost_per_token=1.0)]
    monkeypatch.setattr(proxy_server, "llm_router", SimpleNamespace(model_list=deployments))
    heard(state, deployments)
    found = module.voids(state)
    assert set(found) == {"half", "held", "seen", "lost"}  # chat's deployment stands; idle is off, open names none
    assert found["half"] == "no deployment is registered by it"
    assert "output_cost_per_token is 1.0, and 8e-07 was registered" in found["seen"]
    assert "none.fp8" in found["lost"]


class Changing(BaseHTTPRequestHandler):
    """A model server whose checkpoint and version change."""

    root, version = "/models/fp8", "0.23.0"

    def do_GET(self) -> None:
        row = {"id": FP8, "root": self.root}
        found = {"/v1/models": {"data": [row]}, "/version": {"version": self.version}}.get(self.path, {})
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *args: Any) -> None: ...


@pytest.mark.parametrize("changed", [{"root": "/models/int4"}, {"version": "0.24.0"}])
def test_another_checkpoint_or_version_sends_the_traffic_back(
    module: ModuleType, state: State, changed: dict[str, str]
) -> None:
    handler = type("Handler", (Changing,), {})
    with ThreadingHTTPServer((HOST, 0), handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        deployments = group(state, f"http://{HOST}:{running.server_port}")
        heard(state, deployments)
        assert went(module.Quantized(planned(), state), deployments) == [FP8]
        for name, value in changed.items():
            setattr(handler, name, value)
        heard(state, deployments)
        assert soon(lambda: went(module.Quantized(planned(), state), deployments) == [BF16])
        running.shutdown()


def test_a_look_is_taken_once_a_minute_and_only_where_a_registration_is_named(server: str) -> None:
    asked: list[int] = []

    def deployments() -> list[dict[str, Any]]:
        asked.append(1)
        return [quantised(api_base=f"{server}/v1", model="hosted_vllm/fp8")]

    looks = ServedLooks(deployments)
    looks.look(Policy())
    assert asked == []
    looks.look(parse(POLICY))
    assert soon(lambda: looks.of(deployments()[0]) is not None)
    before = len(asked)
    looks.look(parse(POLICY))
    assert len(asked) == before
    served = looks.of(deployments()[0])
    assert served is not None
    assert (served.root, served.version) == ("/models/fp8", "0.23.0")


def test_a_server_that_is_not_there_is_not_heard_and_asked_again_soon() -> None:
    port = Port()
    one = quantised(api_base=f"http://{HOST}:{port.number}/v1")
    looks = ServedLooks(lambda: [one])
    looks.look(parse(POLICY))
    first = looks._due_at
    assert soon(lambda: looks._due_at < first)
    assert looks.of(one) is None
    port.release()
