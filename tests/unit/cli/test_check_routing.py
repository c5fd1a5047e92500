"""`fivelevers check` on lever 4: whatever keeps a route from routing is said before anybody wonders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.cli.check_cascade import cascade_warnings
from fivelevers.cli.check_routing import groups_of, routing_warnings
from fivelevers.levers.routing.certify import Verdict
from fivelevers.levers.routing.deployments import STRONG
from fivelevers.policy import parse
from fivelevers.stores import route_artifact
from tests.unit.levers.routing.test_artifact import ARTIFACT


def deployment(alias: str, model: str) -> dict[str, Any]:
    return {"model_name": alias, "litellm_params": {"model": f"openai/{model}"}}


BOTH = [deployment("desk", "weak"), deployment("desk", "strong"), deployment("other", "gpt")]


def said(folder: Path, lever: str, models: list[dict[str, Any]] = BOTH, name: str = "greetings") -> list[str]:
    policy = parse(f"routes: [{{name: {name}, match: {{model: desk*}}, levers: {{routing: {lever}}}}}]")
    return [str(problem) for problem in routing_warnings(policy, folder, groups_of([{"model_list": models}]))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    route_artifact.write(tmp_path / "a.route", replace(ARTIFACT, prices={}))
    never = replace(ARTIFACT.certificate, verdict=Verdict.DO_NOT_ROUTE)
    route_artifact.write(tmp_path / "never.route", replace(ARTIFACT, certificate=never, prices={}))
    (tmp_path / "broken.route").write_text("no artifact")
    return tmp_path


def test_what_can_route_is_not_mentioned(folder: Path) -> None:
    assert said(folder, "{mode: on, artifact: a.route}") == []
    assert said(folder, "{mode: off}") == []
    assert said(folder, "{mode: on, artifact: a.route}", []) == []  # nobody named a config


@pytest.mark.parametrize(
    ("lever", "words"),
    [
        ("{mode: on}", "has no artifact to decide by: LiteLLM balances over all models of a group"),
        ("{mode: shadow, strong: large}", "has no artifact to decide by: large alone answers"),
        ("{mode: on, artifact: none.route}", "can not be read: No such file"),
        ("{mode: on, artifact: broken.route}", "is no routing artifact"),
        ("{mode: on, artifact: never.route}", "says do-not-route: the strong model alone answers"),
    ],
)
def test_what_keeps_a_route_from_routing_is(folder: Path, lever: str, words: str) -> None:
    (problem,) = said(folder, lever)
    assert words in problem


def test_a_route_that_was_not_labelled_is(folder: Path) -> None:
    (problem,) = said(folder, "{mode: on, artifact: a.route}", name="taxes")
    assert "knows nothing of taxes: only requests that name one of greetings, law, riddles are routed" in problem


def test_groups_that_lack_a_model_are(folder: Path) -> None:
    on = "{mode: on, artifact: a.route}"
    apart = [deployment("desk", "weak"), deployment("other", "strong")]
    assert [line.partition(";")[0] for line in said(folder, on, apart)] == [
        "model_list: 'desk' has no deployment of strong",
        (
            "routes.greetings.levers.routing.artifact: 'a.route' routes between weak and strong, which no group on "
            "this route holds together"
        ),
    ]
    named = [{**deployment("desk", "x"), "model_info": {"fivelevers_model": "weak"}}, deployment("desk", "strong")]
    assert said(folder, on, named) == []


def test_check_prints_them_and_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIVELEVERS_STATE_DIR", str(folder / "state"))
    monkeypatch.delenv("FIVELEVERS_REDIS_URL", raising=False)
    (folder / "policy.yaml").write_text(
        "routes: [{name: greetings, match: {model: desk}, levers: {routing: {mode: on, artifact: a.route}}}]"
    )
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_list": BOTH[1:]}))
    result = CliRunner().invoke(
        app, ["check", str(folder / "policy.yaml"), "--litellm-config", str(folder / "config.yaml")]
    )
    assert "warning routes.greetings.levers.routing.artifact: 'a.route' routes between weak and strong" in result.output


CASCADE = "{mode: on, cascade: {weak: small, strong: large, verify: [schema]}}"
WHOLE = [
    {**deployment("desk", "x"), "litellm_params": {"model": "fivelevers/cascade"}, "model_info": {STRONG: "large"}},
    deployment("small", "weak"),
    deployment("large", "strong"),
]


def of_cascade(models: list[dict[str, Any]], lever: str = CASCADE, folder: Path = Path()) -> list[str]:
    policy = parse(f"routes: [{{name: greetings, match: {{model: desk*}}, levers: {{routing: {lever}}}}}]")
    return [str(problem) for problem in cascade_warnings(policy, folder, groups_of([{"model_list": models}]))]


def test_a_cascade_that_can_act_is_not_mentioned(folder: Path) -> None:
    assert of_cascade(WHOLE) == []
    assert of_cascade([]) == []
    assert said(folder, CASCADE, WHOLE) == []


def test_a_cascade_without_its_models_or_its_way_out_is() -> None:
    bare = {key: value for key, value in WHOLE[0].items() if key != "model_info"}
    (problem,) = of_cascade([bare, *WHOLE[1:]])
    assert "name the alias of the strong model in its model_info.fivelevers_strong" in problem
    (problem,) = of_cascade(WHOLE[:2])
    assert "cascade.strong: 'large' is no model of LiteLLM's config; name one of desk, small" in problem
    (problem,) = of_cascade(WHOLE[1:])
    assert "nothing on this route cascades" in problem


def scored(artifact: str) -> str:
    return f"{{mode: on, cascade: {{weak: small, strong: large, verify: [scorer], artifact: {artifact}}}}}"


def test_a_scorer_that_can_not_decide_is(folder: Path) -> None:
    route_artifact.write(folder / "a.cascade", replace(ARTIFACT, prices={}, cascade=True))
    assert of_cascade(WHOLE, scored("a.cascade"), folder) == []
    (problem,) = of_cascade(WHOLE, scored("a.route"), folder)
    assert "can not be used, large alone answers" in problem
    moved = [WHOLE[0], deployment("small", "other"), WHOLE[2]]
    (problem,) = of_cascade(moved, scored("a.cascade"), folder)
    assert "was fitted to weak, which is not what small holds: large alone answers" in problem
