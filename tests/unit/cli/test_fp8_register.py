"""`fivelevers fp8 register`: the replicas of a quantised model, as LiteLLM's config has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.stores import gated
from tests.unit.levers.quantization.registered import GATED

REPLICAS = ("http://fp8-0:8000", "http://fp8-1:8000/v1")
CONFIG = """\
model_list:
  - model_name: llama
    litellm_params: {model: hosted_vllm/llama, api_base: "http://bf16:8000/v1", input_cost_per_token: 3.0e-07}
    model_info: {id: bf16}
"""


@pytest.fixture
def verdict(tmp_path: Path) -> Path:
    file = tmp_path / "llama.fp8"
    gated.write(file, GATED)
    return file


def register(verdict: Path, *more: object) -> Result:
    return CliRunner().invoke(app, ["fp8", "register", str(verdict), "--group", "llama", *map(str, more)])


def each(*urls: str) -> list[str]:
    return [word for url in urls for word in ("--api-base", url)]


def rows(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(text)
    return found


def test_each_replica_is_a_deployment_bound_to_one_verdict(verdict: Path) -> None:
    done = register(verdict, *each(*REPLICAS), "--key", "os.environ/VLLM_KEY")
    assert done.exit_code == 0, done.output
    made = rows(done.stdout)
    assert [row["litellm_params"]["api_base"] for row in made] == ["http://fp8-0:8000/v1", "http://fp8-1:8000/v1"]
    assert {row["model_info"]["fivelevers_fp8"] for row in made} == {gated.name_of(verdict)}
    assert len({row["model_info"]["id"] for row in made}) == 2
    assert all(row["litellm_params"]["api_key"] == "os.environ/VLLM_KEY" for row in made)
    assert len({tuple(sorted((row["litellm_params"] | {"api_base": ""}).items())) for row in made}) == 1


def test_without_one_the_server_that_was_gated_is_the_replica(verdict: Path) -> None:
    (made,) = rows(register(verdict).stdout)
    assert made["litellm_params"]["api_base"] == f"{GATED.candidate.url}/v1"


def test_replicas_are_written_together_and_more_of_them_later(verdict: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    first = register(verdict, *each(*REPLICAS), "--config", config, "--apply")
    assert first.exit_code == 0, first.output
    second = register(verdict, *each("http://fp8-2:8000"), "--config", config, "--apply")
    assert second.exit_code == 0, second.output
    original, *made = yaml.safe_load(config.read_text())["model_list"]
    assert original["model_info"] == {"id": "bf16"}
    assert [row["model_info"]["id"][-2:] for row in made] == ["-0", "-1", "-2"]
    again = register(verdict, *each("http://fp8-3:8000", "http://fp8-1:8000"), "--config", config, "--apply")
    assert again.exit_code == 2
    assert "'llama' has this registration at http://fp8-1:8000 already" in again.stderr
    assert len(yaml.safe_load(config.read_text())["model_list"]) == 4


@pytest.mark.parametrize(
    ("urls", "why"),
    [
        (("http://fp8:8000", "http://fp8:8000/v1/"), "http://fp8:8000 is written twice; name each replica once"),
        (("fp8:8000",), "--api-base: 'fp8:8000' is no URL of a server; write http://HOST:PORT"),
    ],
)
def test_what_is_no_replica_is_named(verdict: Path, urls: tuple[str, ...], why: str) -> None:
    done = register(verdict, *each(*urls))
    assert done.exit_code == 2
    assert why in done.stderr


@pytest.mark.parametrize(
    ("params", "info", "called", "beware"),
    [
        ("model: hosted_vllm/llama", "id: a", "hosted_vllm/llama", False),
        ("model: hosted_vllm/llama", "id: a, fivelevers_model: strong", "strong", False),
        ("model: openai/other, api_base: 'http://bf16:8000/v1'", "id: a", "hosted_vllm/llama", True),
        ("model: openai/llama", "id: a", "openai/llama", False),
    ],
)
def test_lever_4_is_told_which_original_it_is(
    verdict: Path, tmp_path: Path, params: str, info: str, called: str, beware: bool
) -> None:
    config = tmp_path / "config.yaml"
    price = "input_cost_per_token: 3.0e-07"
    config.write_text(
        f"model_list:\n  - model_name: llama\n    litellm_params: {{{params}, {price}}}\n    model_info: {{{info}}}\n"
    )
    done = register(verdict, "--config", config, "--apply")
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(config.read_text())["model_list"][1]["model_info"]["fivelevers_model"] == called
    assert ("'llama' was gated as the original, and 'llama' has openai/other" in done.stderr) == beware
