"""`fivelevers audit --emit-policy`: what may save in shadow, as a policy that holds whatever a log calls its models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.order import Mode
from fivelevers.policy import Caller, load
from tests.unit.audit.logged import write

LOG = str(Path(__file__).parents[3] / "examples/logs/requests.jsonl.gz")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.providers.minilm.installed", lambda: False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def test_what_may_save_is_in_shadow(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    result = run("audit", LOG, "--emit-policy", file)
    assert result.exit_code == 0, result.output
    routes = {route.name: {lever: route.levers.of(lever).mode for lever in Order} for route in load(file).routes}
    assert routes["coding-agent"] == dict(zip(Order, (Mode.SHADOW, *[Mode.OFF] * 3, Mode.NOT_APPLICABLE), strict=True))
    assert routes["ticket-pipeline"]["batch"] is Mode.SHADOW
    assert routes["support-assistant"]["prompt_cache"] is Mode.OFF  # marks cost more there than they bring
    checked = run("check", file, "--state-dir", tmp_path / "state")
    assert checked.exit_code == 0, checked.output


Order = ("prompt_cache", "semantic_cache", "batch", "routing", "quantization")


def row(at: float, alias: str) -> dict[str, Any]:
    body = {"model": alias, "temperature": 0, "messages": [{"role": "user", "content": "When do you open?"}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 1000}
    answer = {"model": "gpt-4.1", "usage": usage, "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
    return {"timestamp": 1.79e9 + at, "end_time": 1.79e9 + at + 1, "request": body, "response": answer}


@pytest.mark.parametrize(
    "alias", ["default", "GPT 4.1/[eu]*", 'gpt: #1 "x" {y}', "off", "\u00fcber\U0001f600", "-" * 90, "a\nb", "'"]
)
def test_whatever_a_model_is_called(tmp_path: Path, alias: str) -> None:
    log = write(tmp_path / "log.jsonl", [row(0, alias), row(60, alias), row(120, "a")])
    file = tmp_path / "policy.yaml"
    result = run("audit", log, "--emit-policy", file)
    assert result.exit_code == 0, result.output
    policy = load(file)
    route = policy.match(Caller("", {}, "k"), alias)
    assert route.name != "default"
    assert route.levers.semantic_cache.mode is Mode.SHADOW  # asked twice
    assert policy.match(Caller("", {}, "k"), f"{alias}x").name == "default"


def test_of_a_policy_its_text_is_kept(tmp_path: Path) -> None:
    before = tmp_path / "before.yaml"
    before.write_text("version: 1\nroutes:\n  # ours\n  - name: agents\n    match: {model: coding-*}\n")
    after = tmp_path / "after.yaml"
    assert run("audit", LOG, "--policy", before, "--emit-policy", after).exit_code == 0
    assert "# ours" in after.read_text()
    (agents, _) = load(after).routes
    assert (agents.name, agents.levers.prompt_cache.mode, agents.levers.batch.mode) == ("agents", Mode.SHADOW, Mode.OFF)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\n")
    result = run("audit", LOG, "--emit-policy", file)
    assert result.exit_code == 2
    assert "is there already; name a new file" in " ".join(result.output.split())
    assert file.read_text() == "version: 1\n"
    assert run("audit", LOG, "--by", "team", "--emit-policy", tmp_path / "new.yaml").exit_code == 2
