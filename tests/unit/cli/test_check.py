"""`fivelevers check` and `fivelevers schema`, as their callers see them."""

import json
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from fivelevers.audit.litellm_config import PLUGIN
from fivelevers.cli import app
from fivelevers.embedded import binaries
from fivelevers.embedded.health import redis_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switches import Switches

ROOT = Path(__file__).parents[3]
POLICY = """
defaults: {holdout: 0.05, content: sample, levers: {prompt_cache: {mode: on, percent: 50}}}
routes:
- name: a-route-with-a-long-name-of-forty-letters
  match: {model: "support-*", team: shop, header: {x-app: checkout}}
  levers: {semantic_cache: {mode: shadow}, quantization: {mode: not-applicable}}
  validators: [{regex: a}, {tool_arguments: true}]
  repeat_means: retry
  failure_cost_usd: 0.05
"""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("POLICY", "REDIS_URL", "LANE_REDIS_URL", "LEDGER_URL", "CONTENT_KEY"):
        monkeypatch.delenv(f"FIVELEVERS_{name}", raising=False)
    monkeypatch.delenv("NUM_WORKERS", raising=False)
    monkeypatch.setenv("FIVELEVERS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_shipped_policy_and_config_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run()
    assert result.exit_code == 0, result.output
    assert "5 routes" in result.output
    result = run("--litellm-config", "litellm_config/config.yaml")
    assert (result.exit_code, "nothing in it" in result.output) == (0, True), result.output


def test_the_effective_table_says_what_each_route_amounts_to_in_80_columns(tmp_path: Path) -> None:
    result = run(written(tmp_path / "p.yaml", POLICY))
    assert result.exit_code == 0
    assert not (tmp_path / "state").exists()
    table = result.output.split("routes\n", 1)[1]
    assert max(map(len, table.splitlines())) <= 80
    squeezed = " ".join(table.split())
    expected = (
        "on 50 %",
        "shadow",
        "n/a",
        "5.0%",
        "sample: 1%",
        "retry",
        "600",
        "$0.05",
        "regex",
        "team shop",
        "default",
    )
    for words in expected:
        assert words in squeezed, words


def test_problems_are_told_with_their_lines_and_end_in_1(tmp_path: Path) -> None:
    path = written(tmp_path / "p.yaml", "order: strict\ndefaults: {levers: {batch: {mode: on}}}\nroutes: [{name: A}]\n")
    result = run(path)
    assert result.exit_code == 1
    assert f"error {path}:2: defaults.levers.batch.mode: 'on' is before its turn" in result.output
    assert f"error {path}:3: routes.A.name: 'A' is not a route's name" in result.output
    assert "Routes, in order" not in result.output


def test_warnings_end_in_0(tmp_path: Path) -> None:
    result = run(written(tmp_path / "p.yaml", "include: none/*\ndefaults: {levers: {batch: {mode: on}}}"))
    assert (result.exit_code, result.output.count("warning ")) == (0, 3)


@pytest.mark.parametrize("arguments", [["gone.yaml"], ["--litellm-config", "gone.yaml"]])
def test_what_can_not_be_read_ends_in_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_what_is_switched_off_is_shown(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    url = f"sqlite:///{tmp_path}/state/ledger.db"
    Ledger(url).create()
    switches = Switches("", url)
    switches.off("*", "prompt_cache", actor="ada@desk", reason="a test")
    switches.close()
    output = run(written(tmp_path / "p.yaml", POLICY)).output
    assert output.count("OFF") == 2
    assert "route *, lever prompt_cache: off by ada@desk: a test" in output


def test_a_store_that_does_not_answer_is_named_and_the_table_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = Port()  # ours, and nobody listens
    monkeypatch.setenv("FIVELEVERS_REDIS_URL", f"redis://127.0.0.1:{closed.number}/0")
    result = run(written(tmp_path / "p.yaml", POLICY))
    assert result.exit_code == 0
    assert "What is switched off is not known" in result.output
    assert "Routes, in order" in result.output
    closed.release()


def test_clashes_end_in_1_with_what_includes_say(tmp_path: Path) -> None:
    config = written(
        tmp_path / "c.yaml", f"include: [d.yaml]\nlitellm_settings: {{callbacks: [{PLUGIN}], cache: true}}"
    )
    written(tmp_path / "d.yaml", "include: [c.yaml]\nrouter_settings:\n  plugins: [a.b]")
    result = run("--litellm-config", config, "--replicas", "2", "--workers", "2")
    assert result.exit_code == 1
    for place in (f"{config}:2: litellm_settings.cache", f"{tmp_path}/d.yaml:3: router_settings.plugins"):
        assert f"error {place}" in result.output
    for name in ("FIVELEVERS_LEDGER_URL", "PROMETHEUS_MULTIPROC_DIR"):
        assert f"error {name}" in result.output
    assert result.output.count("error ") == 4


@pytest.mark.parametrize("text", ["{{", "- a", "a: 1\na: 2"])
def test_a_config_that_is_none_ends_in_1(tmp_path: Path, text: str) -> None:
    assert run("--litellm-config", written(tmp_path / "c.yaml", text)).exit_code == 1


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that keeps what it accepted. Told to keep it only later, it would write a first file and not end."""
    port = Port()
    command = [str(binaries.redis_server(os.environ)), "--bind", HOST, "--port", str(port.number), "--save", ""]
    command += ["--appendonly", "yes"]
    server = Process("redis", command, log=tmp_path / "redis.log", env=os.environ, cwd=tmp_path)
    server.wait_until(lambda: redis_ok(HOST, port.number), 60)
    with Redis(host=HOST, port=port.number, decode_responses=True) as redis:
        yield redis
    server.stop()
    port.release()


@pytest.mark.parametrize("what", ["litellm_config/fivelevers.yaml", "--litellm-config=litellm_config/config.yaml"])
def test_a_lane_redis_that_evicts_or_forgets_is_named(monkeypatch: pytest.MonkeyPatch, lane: Redis, what: str) -> None:
    monkeypatch.chdir(ROOT)
    port = lane.connection_pool.connection_kwargs["port"]
    monkeypatch.setenv("FIVELEVERS_LANE_REDIS_URL", f"redis://127.0.0.1:{port}")
    assert run(what).exit_code == 0
    lane.config_set("maxmemory-policy", "allkeys-lru")
    lane.config_set("appendonly", "no")
    lane.config_set("appendfsync", "no")
    result = run(what)
    assert result.exit_code == 1
    assert "FIVELEVERS_LANE_REDIS_URL maxmemory-policy: 'allkeys-lru' evicts accepted batches" in result.output
    assert "FIVELEVERS_LANE_REDIS_URL appendonly: 'no' forgets accepted batches" in result.output
    assert "FIVELEVERS_LANE_REDIS_URL appendfsync: 'no' leaves it to the kernel" in result.output
    monkeypatch.setenv("FIVELEVERS_REDIS_URL", f"redis://127.0.0.1:{port}")
    assert "keeps answers and statistics too" in run(what).output
    lane.config_set("requirepass", "secret")
    result = run(what)
    assert (result.exit_code, "can not be asked" in result.stderr) == (2, True)


def test_the_schema_is_printed_as_json() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.output)["title"] == "fivelevers policy"


def test_content_in_clear_and_a_key_that_is_no_good_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = written(tmp_path / "p.yaml", "routes: [{name: a, match: {team: a}, content: sample}]")
    result = run(policy)
    assert (result.exit_code, "content: 'a' is kept unencrypted" in result.output) == (0, True)
    monkeypatch.setenv("FIVELEVERS_CONTENT_KEY", "a passphrase")
    result = run(policy)
    assert (result.exit_code, "openssl rand -base64 32" in result.output) == (1, True)
    assert "a passphrase" not in result.output
    monkeypatch.setenv("FIVELEVERS_CONTENT_KEY", b64encode(bytes(32)).decode())
    result = run(policy)
    assert (result.exit_code, "unencrypted" in result.output) == (0, False)
    monkeypatch.setenv("FIVELEVERS_CONTENT_KEY", "a passphrase")
    assert run(written(tmp_path / "p.yaml", "routes: []")).exit_code == 0


def test_without_a_redis_it_says_that_lever_1_remembers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = written(tmp_path / "policy.yaml", POLICY)
    assert "FIVELEVERS_REDIS_URL" in run(policy).output
    monkeypatch.setenv("FIVELEVERS_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "no Redis" not in run(policy).output


def test_a_route_that_batches_without_the_lane_s_redis_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = written(tmp_path / "policy.yaml", "routes: [{name: a, match: {team: a}, levers: {batch: {mode: on}}}]")
    assert "batch: 'a' has no Redis to keep accepted requests in" in run(policy).output
    monkeypatch.setenv("FIVELEVERS_LANE_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "no Redis" not in run(policy).output


def test_deployments_that_lever_1_leaves_alone_are_noted_and_are_no_problem(tmp_path: Path) -> None:
    models = "".join(
        f"  - {{model_name: m, litellm_params: {{model: {model}{base}}}}}\n"
        for model, base in (
            ("bedrock/anthropic.claude-sonnet-4-5", ""),
            ("openai/gpt-4.1", ", api_base: http://gateway/v1"),
            ("openai/gpt-4.1", ", api_base: https://api.openai.com/v1"),
            ("anthropic/claude-sonnet-4-5", ""),
        )
    )
    text = f'model_list:\n{models}litellm_settings: {{callbacks: ["{PLUGIN}"]}}\n'
    text += "router_settings: {enable_pre_call_checks: true, routing_strategy: usage-based-routing-v2}\n"
    result = run("--litellm-config", written(tmp_path / "config.yaml", text))
    assert result.exit_code == 0, result.output
    notes = [line for line in result.output.splitlines() if line.startswith("note ")]
    assert len(notes) == 4
    assert "config.yaml:2" in notes[0]
    assert "FIVELEVERS_OPENAI_HOSTS" in notes[1]
    assert all("affinity" in note for note in notes[2:])
