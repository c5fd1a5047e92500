"""`fivelevers check` on lever 5: `on` is refused before both verdicts, and what keeps a deployment idle is said."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.cli.check_quantization import quantization_problems
from fivelevers.cli.check_routing import groups_of
from fivelevers.levers.quantization.deployments import registration_of, server_of, unpriced
from fivelevers.levers.quantization.standing import prices_of
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.levers.routing.deployments import name_of
from fivelevers.policy import parse
from fivelevers.stores import gated
from tests.unit.levers.quantization.registered import GATED, original, quantised

EXAMPLE = Path(__file__).parents[3] / "litellm_config/vllm_fp8.yaml"
PRICED = {"input_cost_per_token": 3e-7, "output_cost_per_token": 1.2e-6}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    gated.write(tmp_path / "good.fp8", GATED)
    gated.write(tmp_path / "open.fp8", replace(GATED, quality=Verdict.INCONCLUSIVE))
    return tmp_path


def said(folder: Path, lever: str, models: list[dict[str, Any]]) -> list[str]:
    policy = parse(f"routes: [{{name: chat, match: {{model: llama}}, levers: {{quantization: {lever}}}}}]")
    found = quantization_problems(policy, folder, groups_of([{"model_list": models}]))
    return [f"{kind} {problem}" for kind, problem in found]


def both(folder: Path, **params: Any) -> list[dict[str, Any]]:
    first = original()
    first["litellm_params"] |= PRICED
    return [first, quantised(gated.name_of(folder / "good.fp8"), **params)]


ON = "{mode: on, registration: good.fp8}"


def test_what_may_act_is_not_mentioned(folder: Path) -> None:
    assert said(folder, ON, both(folder)) == []
    assert said(folder, ON, []) == []  # nobody named a config
    assert said(folder, "{mode: off, registration: open.fp8}", []) == []


@pytest.mark.parametrize(
    ("lever", "words"),
    [
        ("{mode: on, registration: open.fp8}", ["error", "quality says inconclusive"]),
        ("{mode: on, registration: none.fp8}", ["error", "can not be read: No such file"]),
        ("{mode: shadow, registration: open.fp8}", ["warning", "quality says inconclusive"]),
        ("{mode: shadow}", ["warning", "has no registration"]),
    ],
)
def test_before_both_verdicts_on_is_refused(folder: Path, lever: str, words: list[str]) -> None:
    (line,) = said(folder, lever, [])
    assert line.startswith(words[0])
    assert words[1] in line


def test_groups_that_do_not_hold_what_they_say(folder: Path) -> None:
    assert "is that of no deployment on this route" in said(folder, ON, [original()])[0]
    assert "has no original beside the quantised model" in said(folder, ON, both(folder)[1:])[0]
    assert "has an original without a price" in said(folder, ON, [original(), both(folder)[1]])[0]
    dearer = both(folder, input_cost_per_token=1e-6)
    assert "input_cost_per_token is 1e-06, and 2e-07 was registered" in said(folder, ON, dearer)[0]
    assert said(folder, ON, [*both(folder), quantised("ffffffffffff", "another")]) == []  # on no route that is asked


def test_a_quantised_model_that_lever_4_does_not_know_is_named(folder: Path) -> None:
    route = "routing: {mode: on, artifact: tiers.route}, quantization: {mode: on, registration: good.fp8}"
    policy = parse(f"routes: [{{name: chat, match: {{model: llama}}, levers: {{{route}}}}}]")
    rows = both(folder)

    def told() -> list[str]:
        groups = groups_of([{"model_list": rows}])
        return [f"{kind} {problem}" for kind, problem in quantization_problems(policy, folder, groups)]

    assert told() == []
    rows[1]["model_info"]["fivelevers_model"] = "llama-fp8"
    (line,) = told()
    assert "has a quantised deployment of llama-fp8, which lever 4 knows as none of its originals" in line


def test_the_command_ends_with_1_where_on_is_refused(folder: Path) -> None:
    policy = folder / "policy.yaml"
    policy.write_text("routes: [{name: chat, match: {model: llama}, levers: {quantization: {mode: on}}}]")
    done = CliRunner().invoke(app, ["check", str(policy)], env={"COLUMNS": "300"})
    assert (done.exit_code, "is on without a `registration`" in done.stdout) == (1, True)
    policy.write_text(policy.read_text().replace("mode: on", "mode: on, registration: open.fp8"))
    done = CliRunner().invoke(app, ["check", str(policy)], env={"COLUMNS": "300"})
    assert (done.exit_code, "does not hold, the original alone answers" in done.stdout) == (1, True)


@pytest.mark.filterwarnings("ignore::UserWarning:pydantic")
def test_the_example_is_a_group_of_two_models_with_two_priced_replicas_each() -> None:
    rows = yaml.safe_load(EXAMPLE.read_text())["model_list"]
    assert unpriced(rows) == []
    read = import_module("litellm").Router(model_list=rows).model_list  # as LiteLLM has them
    assert {row["model_name"] for row in read} == {"assistant"}
    assert len({server_of(row)[0] for row in read}) == 4
    assert all(len(prices_of(row)) == 3 for row in read)
    assert {name_of(row) for row in read} == {"hosted_vllm/assistant-bf16"}
    bound = [registration_of(row) for row in read]
    assert (bound.count(None), len(set(bound))) == (2, 2)
    (text,) = (part for part in EXAMPLE.read_text().split("model_list:", 1)[:1])
    lines = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#   ")]
    (route,) = parse("\n".join(lines)).routes[:1]
    assert route.levers.quantization.registration == "assistant.fp8"
