"""The artifacts of a policy are there before it is in force, and follow their files; no request reads one."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fivelevers.policy import Policy, parse
from fivelevers.prices import PriceBook
from fivelevers.stores import route_artifact, route_artifacts
from fivelevers.stores.policy_file import PolicyFile
from fivelevers.stores.route_artifacts import NOT_READ, RouteArtifacts
from tests.redis_server import soon
from tests.unit.levers.routing.test_artifact import ARTIFACT

NO_PRICES = PriceBook({})


def text(*names: str) -> str:
    """A policy whose routes name these artifacts."""
    rows = (
        f"  - {{name: r{at}, match: {{model: m{at}}}, levers: {{routing: {{mode: shadow, artifact: {name}}}}}}}\n"
        for at, name in enumerate(names)
    )
    return "routes:\n" + "".join(rows)


def policy(*names: str) -> Policy:
    return parse(text(*names))


def put(folder: Path, name: str, made_at: float) -> None:
    route_artifact.write(folder / name, replace(ARTIFACT, made_at=made_at))


def made_at(artifacts: RouteArtifacts, name: str) -> float | None:
    found = artifacts.of(name).artifact
    return None if found is None else found.made_at


def reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a request looks at a file")

    for module, name in ((Path, "stat"), (Path, "read_bytes"), (builtins, "open")):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr(route_artifacts, "load", never)


def test_what_a_policy_names_is_there_when_it_comes_into_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.route", 1000.0)
    (tmp_path / "policy.yaml").write_text(text("a.route"))
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    PolicyFile(tmp_path / "policy.yaml", on_look=artifacts.look)
    with monkeypatch.context() as patch:
        reads_nothing(patch)
        assert made_at(artifacts, "a.route") == 1000.0
        assert artifacts.of("a.route").holds
        assert artifacts.of("b.route") is NOT_READ


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[PolicyFile, RouteArtifacts]]:
    put(tmp_path, "a.route", 1000.0)
    (tmp_path / "policy.yaml").write_text(text("a.route"))
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    file = PolicyFile(tmp_path / "policy.yaml", on_look=artifacts.look)
    yield file, artifacts
    file.close()


def test_another_file_is_read_without_a_request_that_asks_for_it(
    tmp_path: Path, followed: tuple[PolicyFile, RouteArtifacts]
) -> None:
    file, artifacts = followed
    file.current()
    put(tmp_path, "a.route", 2000.0)
    assert soon(lambda: made_at(artifacts, "a.route") == 2000.0)
    put(tmp_path, "b.route", 3000.0)
    (tmp_path / "new").write_text(text("b.route"))
    (tmp_path / "new").rename(tmp_path / "policy.yaml")
    assert soon(lambda: [r.levers.routing.artifact for r in file.current().routes][:1] == ["b.route"])
    assert made_at(artifacts, "b.route") == 3000.0
    assert soon(lambda: artifacts.of("a.route") is NOT_READ)


def test_what_the_policy_before_names_is_kept_for_the_requests_under_way(tmp_path: Path) -> None:
    for name in ("a.route", "b.route"):
        put(tmp_path, name, 1000.0)
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    artifacts.look(policy("a.route"))
    artifacts.look(policy("b.route"))
    assert (made_at(artifacts, "a.route"), made_at(artifacts, "b.route")) == (1000.0, 1000.0)
    artifacts.look(policy("b.route"))
    assert artifacts.of("a.route") is NOT_READ
    assert list(artifacts._files._known) == [("b.route", False)]


def test_one_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    put(tmp_path, "a.route", 1000.0)
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    artifacts.look(policy("a.route"))
    first = artifacts.of("a.route")
    artifacts.look(policy("a.route", "a.route"))
    assert artifacts.of("a.route") is first


def test_what_can_not_be_used_is_told_once_and_keeps_no_other_from_being_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "damaged.route").write_text("hello\n")
    put(tmp_path, "odd.route", 1000.0)
    put(tmp_path, "good.route", 1000.0)
    read = route_artifact.read

    def odd(path: Path) -> Any:
        if path.name == "odd.route":
            raise RuntimeError("odd")
        return read(path)

    monkeypatch.setattr(route_artifact, "read", odd)
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    names = ["damaged.route", "odd.route", "none.route", "good.route"]
    for _ in range(2):
        artifacts.look(policy(*names))
    assert len(caplog.records) == 3
    assert [made_at(artifacts, name) for name in names] == [None, None, None, 1000.0]
    assert "No such file" in (artifacts.of("none.route").problem or "")
    put(tmp_path, "none.route", 2000.0)
    artifacts.look(policy(*names))
    assert made_at(artifacts, "none.route") == 2000.0


def test_a_cascade_s_is_no_router_s_and_the_other_way_round(tmp_path: Path) -> None:
    put(tmp_path, "a.route", 1000.0)
    route_artifact.write(tmp_path / "a.cascade", replace(ARTIFACT, cascade=True))
    for name, cascade in (("a.route", False), ("a.cascade", True)):
        assert route_artifacts.load(tmp_path / name, NO_PRICES, cascade=cascade).holds
        assert "--cascade" in (route_artifacts.load(tmp_path / name, NO_PRICES, cascade=not cascade).problem or "")
    artifacts = RouteArtifacts(tmp_path, NO_PRICES)
    lever = "{mode: on, cascade: {weak: a, strong: b, verify: [scorer], artifact: a.cascade}}"
    artifacts.look(parse(f"routes: [{{name: r, match: {{model: m}}, levers: {{routing: {lever}}}}}]"))
    assert artifacts.of("a.cascade", cascade=True).holds
    assert artifacts.of("a.cascade") is NOT_READ


def test_another_price_voids_it(tmp_path: Path) -> None:
    put(tmp_path, "a.route", 1000.0)
    other = {
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("1e-6"),
        "output_cost_per_token": Decimal("2e-6"),
    }
    artifacts = RouteArtifacts(tmp_path, PriceBook({"weak": other, "strong": other}))
    artifacts.look(policy("a.route"))
    found = artifacts.of("a.route")
    assert found.artifact is not None
    assert not found.holds
    assert "fit it anew" in (found.problem or "")
