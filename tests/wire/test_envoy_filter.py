"""The shipped Envoy file with the filter beside it: who is diverted, who never meets it, and how it is switched."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fivelevers.embedded import binaries
from fivelevers.embedded.ports import HOST
from fivelevers.stores.switches import Switches
from tests.redis_server import Server, soon
from tests.wire.envoy_rig import ASYNC, CHAT, LANE, PIPELINE, ROOT, Rig

POLICY = """
routes:
- name: tickets
  match: {model: ticket-*}
  levers: {batch: {mode: on, inspect: body}}
- name: nightly
  match: {header: {x-app: nightly}}
  levers: {batch: {mode: on, opt_in: route}}
"""
BACKGROUND = {"model": "ticket-a", "background": True}
PATIENT = {"x-stainless-read-timeout": "14400"}
DEADLINE = {"x-fivelevers-deadline": "4h"}
SNIPPETS = ROOT / "envoy/snippets"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("filter"), POLICY)
    try:
        rig.start_envoy()
        rig.start_filter()
        yield rig
    finally:
        rig.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Rig]:
    """One that a test starts as it needs it."""
    rig = Rig(tmp_path, POLICY)
    yield rig
    rig.close()


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (ASYNC, None, ""),
        ({"prefer": "Respond-Async, wait=10"}, None, ""),
        ({**DEADLINE, **PATIENT}, None, ""),
        ({**DEADLINE, "prefer": "wait=14400"}, None, ""),
        ({**PIPELINE, **ASYNC}, {"model": "ticket-a"}, ""),
        (PIPELINE, BACKGROUND, ""),
        ({**PIPELINE, **PATIENT}, {"model": "ticket-a", "service_tier": "batch"}, ""),
        ({**PIPELINE, **PATIENT, "x-app": "nightly"}, {"model": "other"}, ""),
        (DEADLINE, None, "caller-waits"),
        ({"x-fivelevers-deadline": "4m"}, None, "deadline-too-short"),
        ({**ASYNC, "x-fivelevers-skip": "batch"}, None, "skipped"),
        (PIPELINE, {"model": "ticket-a"}, "not-asked"),
        (PIPELINE, {**BACKGROUND, "stream": True}, "stream"),
        ({**PIPELINE, **ASYNC}, {"model": "other"}, "off"),
        (PIPELINE, [1], "body"),
        (PIPELINE, b"{", "body"),
    ],
)
def test_who_is_diverted_and_who_is_told_why_not(rig: Rig, headers: Mapping[str, str], body: object, why: str) -> None:
    answer = rig.ask(headers=headers, body=body)
    assert answer.once.path == (CHAT if why else LANE + CHAT)
    assert answer.headers.get("x-fivelevers-lane") == (
        f"live; why={why}" if why else None
    )  # the lane speaks for itself


@pytest.mark.parametrize("headers", [{}, PATIENT, {"x-fivelevers-lane": "batch"}, {"prefer": "wait=100"}])
def test_interactive_requests_never_meet_the_filter(rig: Rig, headers: Mapping[str, str]) -> None:
    before = rig.stat("streams_started")
    assert rig.ask(headers=headers).once.path == CHAT
    assert rig.stat("streams_started") == before


def test_other_endpoints_go_live(rig: Rig) -> None:
    assert rig.ask("/v1/images/generations", ASYNC).headers["x-fivelevers-lane"] == "live; why=endpoint"
    assert rig.ask("/chat/completions", ASYNC).once.path == "/chat/completions"
    assert rig.ask(CHAT + "?a=b", ASYNC).once.path == f"{LANE}{CHAT}?a=b"


@pytest.mark.parametrize("headers", [{}, PIPELINE])
def test_what_the_lane_accepted_is_asked_for_there_by_its_own_path(rig: Rig, headers: Mapping[str, str]) -> None:
    before = rig.lane_requests()
    paths = (
        f"/v1/responses/resp_flr_{'0' * 32}",
        f"/v1/responses/resp_flr_{'0' * 32}/cancel",
        "/fivelevers/v1/requests",
    )
    for path in paths:
        assert rig.ask(path, headers).once.path == path
    assert rig.lane_requests() == before + len(paths)
    assert rig.ask("/v1/responses/resp_68", headers, method="GET").once.path == "/v1/responses/resp_68"
    assert rig.lane_requests() == before + len(paths)


@pytest.mark.parametrize(
    ("headers", "size", "diverted"),
    [(ASYNC, 5_000_000, True), (PIPELINE, 5_000_000, True), (PIPELINE, 9_000_000, False)],
)
def test_large_bodies_pass_whole(rig: Rig, headers: Mapping[str, str], size: int, diverted: bool) -> None:
    body = {**BACKGROUND, "input": "x" * size}
    arrived = rig.ask(headers=headers, body=body).once
    assert arrived.diverted is diverted
    assert arrived.body_bytes > size


def test_the_runtime_key_switches_all_of_it_at_once(rig: Rig) -> None:
    rig.admin("POST", "/runtime_modify?fivelevers.batch=0")
    before = rig.stat("streams_started")
    for headers in (ASYNC, {**PIPELINE, **ASYNC}):
        answer = rig.ask(headers=headers, body=BACKGROUND)
        assert not answer.once.diverted
        assert "x-fivelevers-lane" not in answer.headers
    assert rig.stat("streams_started") == before
    rig.admin("POST", "/runtime_modify?fivelevers.batch=100")
    assert rig.ask(headers=ASYNC).once.diverted


def test_the_policy_is_read_again(rig: Rig) -> None:
    rig.policy.write_text(POLICY.replace("mode: on", "mode: shadow"))
    try:
        assert soon(lambda: not rig.ask(headers=ASYNC).once.diverted)
        assert rig.ask(headers=ASYNC).headers["x-fivelevers-lane"] == "live; why=shadow"
    finally:
        rig.policy.write_text(POLICY)
    assert soon(lambda: rig.ask(headers=ASYNC).once.diverted)


def test_metrics_and_the_access_log_say_what_was_decided(rig: Rig) -> None:
    rig.ask(headers=ASYNC)
    rig.ask(headers=DEADLINE)
    with urllib.request.urlopen(f"http://{HOST}:{rig.port('metrics')}/metrics") as answer:
        text = answer.read().decode()
    for result in ("batch", "live-caller-waits"):
        assert f'fivelevers_requests_total{{lever="batch",result="{result}"}}' in text
    assert "fivelevers_bypass_total{" not in text
    log = rig.folder / "envoy.log"
    for lane in ("batch; why=eligible", "live; why=caller-waits"):
        assert soon(lambda lane=lane: f'"lane":"{lane}"' in log.read_text())  # type: ignore[misc]


def test_what_is_switched_off_in_redis_goes_live(own: Rig, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = Server(tmp_path / "redis")
    switches = Switches(server.url, "")
    try:
        own.start_envoy()
        own.start_filter(redis_url=server.url, listen=f"{HOST}:{own.port('filter')}")
        switches.off("*", "batch", actor="ada", reason="a test")
        assert soon(lambda: not own.ask(headers=ASYNC).once.diverted)
        assert own.ask(headers=ASYNC).headers["x-fivelevers-lane"] == "live; why=skipped"
    finally:
        switches.close()
        server.close()


def test_keys_are_not_shown_to_the_filter(own: Rig) -> None:
    own.start_envoy()
    own.run_filter([sys.executable, "-m", "tests.wire.bad_filter", f"{HOST}:{own.port('filter')}"])
    names = ("authorization", "x-api-key", "api-key", "X-LiteLLM-API-Key", "x-goog-api-key", "Cookie", "x-litellm-key")
    sent = dict.fromkeys(names, "sk-secret") | ASYNC | {"x-app": "seen"}
    assert own.ask(headers=sent).once.headers["authorization"] == "sk-secret"
    assert soon(lambda: "x-app" in own.filter_log())
    assert "sk-secret" not in own.filter_log()


def test_routes_can_be_switched_by_a_file_and_by_the_runtime_s_folder(own: Rig, tmp_path: Path) -> None:
    """File RDS and a disk layer: each is changed by a rename, and no process restarts."""
    config = own.config()
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    table = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", **manager.pop("route_config")}
    rds = tmp_path / "rds"
    rds.mkdir()
    source = {"path": str(rds / "routes.yaml"), "watched_directory": {"path": str(rds)}}
    manager["rds"] = {"route_config_name": "models", "config_source": {"path_config_source": source}}
    (rds / "routes.yaml").write_text(yaml.safe_dump({"resources": [table]}))
    runtime = tmp_path / "runtime"
    config |= yaml.safe_load((SNIPPETS / "toggle.yaml").read_text().replace("/etc/envoy/runtime", str(runtime)))
    _percent(runtime, "v1", 100)
    config["node"] = {"id": "test", "cluster": "test"}
    own.start_envoy(config)
    own.start_filter()
    assert own.ask(headers=ASYNC).once.diverted

    _percent(runtime, "v2", 0)
    assert soon(lambda: not own.ask(headers=ASYNC).once.diverted)
    _percent(runtime, "v3", 100)
    assert soon(lambda: own.ask(headers=ASYNC).once.diverted)

    (without := dict(table))["virtual_hosts"] = [
        {**host, "routes": [host["routes"][-1]]} for host in table["virtual_hosts"]
    ]
    for resources, diverted in ((without, False), ({"virtual_hosts": 3}, False), (table, True)):
        (rds / "new.yaml").write_text(yaml.safe_dump({"resources": [resources]}))
        (rds / "new.yaml").rename(rds / "routes.yaml")
        assert soon(lambda diverted=diverted: own.ask(headers=ASYNC).once.diverted is diverted)  # type: ignore[misc]


def _percent(runtime: Path, name: str, value: int) -> None:
    """As envoy/snippets/toggle.yaml says."""
    (runtime / name / "fivelevers").mkdir(parents=True)
    (runtime / name / "fivelevers/batch").write_text(f"{value}\n")
    (runtime / "next").symlink_to(name)
    (runtime / "next").rename(runtime / "current")


def existing(own: Rig) -> dict[str, Any]:
    """An Envoy that somebody had before, with the snippet pasted into it."""
    shipped = own.config()
    pasted = yaml.safe_load((SNIPPETS / "batch_routes.yaml").read_text())
    listener = shipped["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [*pasted["http_filters"], manager["http_filters"][-1]]
    manager["early_header_mutation_extensions"] = pasted["early_header_mutation_extensions"]
    routes = [*pasted["routes"], {"match": {"prefix": "/"}, "route": {"cluster": "litellm"}}]
    manager["route_config"] = {"virtual_hosts": [{"name": "theirs", "domains": ["*"], "routes": routes}]}
    litellm, lane, _ = shipped["static_resources"]["clusters"]
    shipped["static_resources"]["clusters"] = [litellm, lane, *pasted["clusters"]]
    return shipped


def test_the_snippet_works_where_it_is_pasted(own: Rig) -> None:
    config = existing(own)
    sock = own.folder / "filter.sock"
    address = {"pipe": {"path": str(sock)}}  # as its comment says, on a Unix socket
    config["static_resources"]["clusters"][-1]["load_assignment"]["endpoints"] = [
        {"lb_endpoints": [{"endpoint": {"address": address}}]}
    ]
    pipeline = {"x-app": "ticket-pipeline", "x-fivelevers-lane": "batch"}
    own.start_envoy(config)
    own.start_filter(listen=f"unix:{sock}", probe={**ASYNC, **pipeline})
    answer = own.ask(headers=pipeline)
    assert answer.headers["x-fivelevers-lane"] == "live; why=not-asked"
    assert answer.once.path == CHAT
    # Its Envoy route names the policy's: `inspect: body`, and none is sent.
    assert "tickets says `inspect: body`" in own.filter_log()


@pytest.mark.parametrize("name", ["envoy/envoy.yaml", "batch_routes.yaml"])
def test_plain_envoy_files_are_valid(own: Rig, name: str) -> None:
    config = yaml.safe_load((ROOT / name).read_text()) if "/" in name else existing(own)
    (own.folder / "e.yaml").write_text(yaml.safe_dump(config))
    command = [str(binaries.envoy({})), "--mode", "validate", "--config-path", str(own.folder / "e.yaml")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert list(yaml.safe_load_all((SNIPPETS / "envoy_gateway.yaml").read_text()))


def test_a_port_that_is_taken_and_an_address_that_is_none_end_in_2() -> None:
    with socket.create_server((HOST, 0)) as taken:
        for arguments in (["--listen", f"{HOST}:{taken.getsockname()[1]}"], ["--metrics", "x"]):
            command = [sys.executable, "-m", "fivelevers", "ext-proc", *arguments]
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
            assert done.returncode == 2
            assert b"fivelevers ext-proc:" in done.stderr
