"""The last good policy acts, whatever becomes of the file."""

from pathlib import Path

import pytest

from fivelevers.errors import PolicyError
from fivelevers.policy import EMPTY
from fivelevers.stores.policy_file import PolicyFile


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.policy_file.CHECK_EVERY_S", 0.0)


def write(path: Path, name: str) -> None:
    path.with_suffix(".new").write_text(f"routes: [{{name: {name}, match: {{model: x}}}}]")
    path.with_suffix(".new").rename(path)


def test_a_changed_file_is_in_force_at_once(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    write(path, "one")
    file = PolicyFile(path)
    assert [route.name for route in file.current().routes] == ["one", "default"]
    write(path, "two")
    assert [route.name for route in file.current().routes] == ["two", "default"]


def test_a_bad_or_missing_file_keeps_the_last_good_policy_and_is_told_once(tmp_path: Path) -> None:
    path, told = tmp_path / "policy.yaml", list[PolicyError]()
    write(path, "good")
    file = PolicyFile(path, told.append)
    good = file.current()
    path.write_text("routes: 3")
    assert [file.current() for _ in range(3)] == [good] * 3
    assert file.problem is not None
    assert "routes" in file.problem
    path.unlink()
    assert [file.current() for _ in range(3)] == [good] * 3
    assert "No such file" in file.problem
    assert len(told) == 2
    write(path, "better")
    assert file.current().routes[0].name == "better"
    assert file.problem is None


def test_without_a_file_nothing_acts() -> None:
    assert PolicyFile(None).current() == EMPTY


def test_a_file_that_was_never_good_leaves_every_lever_off(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("{{")
    assert PolicyFile(tmp_path / "policy.yaml").current() == EMPTY
