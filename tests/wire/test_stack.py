import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
import yaml

from fivelevers.embedded import binaries, commands, envoy_config
from fivelevers.embedded.claim import holder
from fivelevers.embedded.process import children_of
from fivelevers.embedded.stack import Stack
from fivelevers.errors import StackError
from tests.redis_server import soon
from tests.wire.stack_host import family, still_alive, stub_litellm

ROOT = Path(__file__).parents[2]
ENVOY_YAML = ROOT / "envoy/envoy.yaml"


@pytest.fixture(scope="module")
def stubbed() -> Iterator[pytest.MonkeyPatch]:
    """LiteLLM's place is taken by a stub that is up at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "litellm", stub_litellm)
        yield patch


@pytest.fixture(scope="module")
def stack(stubbed: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), simulator=False) as running:
        yield running


def host(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.wire.stack_host", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


# What the parts of the stack do.


def test_redis_finds_nearest_vectors_and_keeps_nothing_on_disk(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        schema = "ON HASH PREFIX 1 doc: SCHEMA v VECTOR FLAT 6 TYPE FLOAT32 DIM 2 DISTANCE_METRIC COSINE"
        client.execute_command("FT.CREATE", "idx", *schema.split())
        for name, vector in {"east": (1.0, 0.0), "north": (0.0, 1.0), "northeast": (1.0, 1.0)}.items():
            client.hset(f"doc:{name}", mapping={"v": struct.pack("2f", *vector)})
        query = ("FT.SEARCH", "idx", "*=>[KNN 1 @v $q]", "NOCONTENT", "DIALECT", 2, "PARAMS", 2, "q")
        assert "doc:north" in str(client.execute_command(*query, struct.pack("2f", 0.1, 0.9)))
        client.execute_command("JSON.SET", "document", "$", '{"a": 1}')
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}


def test_a_client_can_not_choose_its_lane(stack: Stack) -> None:
    sent = {"x-fivelevers-lane": "batch", "x-fivelevers-session": "kept"}
    headers = httpx.post(f"{stack.envoy_url}/echo", headers=sent).json()["headers"]
    assert "x-fivelevers-lane" not in headers
    assert headers["x-fivelevers-session"] == "kept"


def test_a_large_body_passes_whole(stack: Stack) -> None:
    body = b"x" * 30_000_000
    assert httpx.post(f"{stack.envoy_url}/echo", content=body, timeout=30).json()["body_bytes"] == len(body)


def test_envoy_sets_no_limit_on_the_length_of_an_answer(stack: Stack) -> None:
    # Envoy tells the upstream how long it is going to wait, when it is not for ever.
    assert "x-envoy-expected-rq-timeout-ms" not in httpx.post(f"{stack.envoy_url}/echo").json()["headers"]


def test_envoy_does_not_retry(stack: Stack) -> None:
    before = httpx.get(f"{stack.litellm_url}/count").json()["posts"]
    assert httpx.post(f"{stack.envoy_url}/boom").status_code == 503
    assert httpx.get(f"{stack.litellm_url}/count").json()["posts"] == before + 1


def test_the_access_log_has_the_route_and_no_query_string(stack: Stack) -> None:
    httpx.get(f"{stack.envoy_url}/echo?key=hidden")
    stack_log = stack.logs_dir / "envoy.log"
    deadline = time.monotonic() + 15
    while '"/echo"' not in stack_log.read_text() and time.monotonic() < deadline:  # it is written once a second
        time.sleep(0.1)
    assert '"envoy_route":"live"' in stack_log.read_text()
    assert "hidden" not in stack_log.read_text()


def test_the_users_envoy_file_is_valid_as_it_stands() -> None:
    command = [str(binaries.envoy({})), "--mode", "validate", "--config-path", str(ENVOY_YAML)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_the_stack_changes_nothing_but_addresses_in_it() -> None:
    bound = yaml.safe_load(envoy_config.bound(ENVOY_YAML, listener=10000, admin=9901, litellm=4000, filter_=9902))
    users = yaml.safe_load(ENVOY_YAML.read_text())
    users["static_resources"]["listeners"][0]["address"]["socket_address"]["address"] = "127.0.0.1"
    assert bound == users


def test_an_envoy_file_without_our_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "envoy.yaml").write_text("static_resources: {listeners: [{}], clusters: []}\nadmin: {}\n")
    with pytest.raises(StackError, match="cluster named `litellm`"):
        envoy_config.bound(tmp_path / "envoy.yaml", listener=1, admin=2, litellm=3, filter_=4)


# Starting and stopping.


def check_for(stack: Stack, duration_s: float) -> None:
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        stack.check()
        time.sleep(0.05)


def test_two_stacks_at_once(stack: Stack, tmp_path: Path) -> None:
    with Stack(tmp_path, simulator=False) as other:
        assert {other.envoy_url, other.litellm_url, other.redis_url}.isdisjoint(
            {stack.envoy_url, stack.litellm_url, stack.redis_url}
        )
        assert httpx.get(f"{other.envoy_url}/x").status_code == httpx.get(f"{stack.envoy_url}/x").status_code == 200
        pids = family(other.pids["envoy"]) + family(other.pids["redis"])
    assert not still_alive(pids, 0)
    assert holder(tmp_path) is None


def test_a_state_directory_has_one_stack(stack: Stack) -> None:
    with pytest.raises(StackError, match=rf"\(pid {os.getpid()}\); stop it with `fivelevers down --state-dir"):
        Stack(stack.state_dir, simulator=False).start()
    stack.check()


def test_litellm_restarts_on_its_port(stack: Stack) -> None:
    before = stack.pids
    stack.kill_worker()
    assert not still_alive([before["litellm"]], 5)
    with pytest.raises(StackError, match="litellm ended on its own"):
        check_for(stack, 5)
    stack.restart_litellm()
    stack.check()
    assert httpx.post(f"{stack.litellm_url}/echo").status_code == 200
    assert stack.pids["envoy"] == before["envoy"]


def test_the_users_own_redis_is_used_and_none_started(stubbed: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Stack(tmp_path, simulator=False, env={"FIVELEVERS_REDIS_URL": "redis://elsewhere:6379/3"}) as running:
        assert set(running.pids) == {"litellm", "envoy"}
        assert running.redis_url == "redis://elsewhere:6379/3"


BATCHING = "routes: [{name: tickets, match: {model: ticket-*}, levers: {batch: {mode: MODE}}}]"


def test_a_policy_that_batches_gets_its_filter_and_a_redis_that_keeps(
    stubbed: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BATCHING.replace("MODE", "on"))
    with Stack(tmp_path / "state", simulator=False, policy=policy) as running:
        assert set(running.pids) == {"redis", "lane-redis", "litellm", "filter", "envoy"}
        with redis.Redis.from_url(running.lane_redis_url) as client:
            wanted = {"maxmemory-policy": "noeviction", "appendonly": "yes"}
            assert client.config_get(*wanted) == wanted
            client.set("accepted", "work")

        def lane() -> str | None:
            url, asks = f"{running.envoy_url}/v1/chat/completions", {"prefer": "respond-async"}
            sent: dict[str, str] = httpx.post(url, headers=asks, json={}).json()["headers"]
            return sent.get("x-fivelevers-lane")

        assert soon(lambda: lane() == "batch")
    again = Stack(tmp_path / "state", simulator=False, policy=policy)
    with again, redis.Redis.from_url(again.lane_redis_url) as client:
        assert client.get("accepted") == b"work"


def test_a_policy_that_batches_in_shadow_needs_no_lane(stubbed: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BATCHING.replace("MODE", "shadow"))
    with Stack(tmp_path / "state", simulator=False, policy=policy) as running:
        assert set(running.pids) == {"redis", "litellm", "filter", "envoy"}
        assert not running.lane_redis_url


def test_a_part_that_fails_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "litellm", lambda *_: ["sh", "-c", "echo the reason; exit 3"])
    broken = Stack(tmp_path, simulator=False)
    before = children_of(os.getpid())
    with pytest.raises(
        StackError, match=r"(?s)litellm ended while it was starting; .*litellm.log ends with:.*the reason"
    ):
        broken.start()
    assert children_of(os.getpid()) == before
    assert holder(tmp_path) is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_process_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    with host("hold", tmp_path) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline().startswith("{")
        pids = family(holding.pid)
        assert len(pids) == 1 + 3 * 2  # itself, and Redis, the stub and Envoy, each under a tether
        holding.send_signal(how)
        assert not still_alive(pids, 10)
    assert holder(tmp_path) is None


# The command line.


def test_up_stays_until_down(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path)]
    with host("up", *state, "--no-simulator") as running:
        assert running.stdout is not None
        said = ""
        while "Ctrl-C or fivelevers down" not in said:
            line = running.stdout.readline()
            assert line, said
            said += line
        assert "fivelevers is up" in said
        assert str(tmp_path / "logs") in said
        with host("up", *state, "--no-simulator") as second:
            assert second.wait(30) == 2
            assert second.stdout is not None
            assert "a stack runs here already" in second.stdout.read()
        pids = family(running.pid)
        with host("down", *state) as down:
            assert down.wait(30) == 0
        assert running.wait(5) == 0
        assert not still_alive(pids, 0)
    with host("down", *state) as again:
        assert again.wait(30) == 1


def test_up_without_a_readable_config_could_not_run(tmp_path: Path) -> None:
    with host("up", "--state-dir", tmp_path, "--config", tmp_path / "none.yaml") as running:
        assert running.wait(30) == 2
        assert running.stdout is not None
        assert "--config: '" in running.stdout.read()
