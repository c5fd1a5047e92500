"""The last good policy acts, whatever becomes of the files."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fivelevers import metrics
from fivelevers.errors import PolicyError
from fivelevers.policy import EMPTY, Policy
from fivelevers.stores.policy_file import PolicyFile


def write(path: Path, name: str) -> None:
    path.with_suffix(".new").write_text(f"routes: [{{name: {name}, match: {{model: {name}}}}}]")
    path.with_suffix(".new").rename(path)


def names(policy: Policy) -> list[str]:
    return [route.name for route in policy.routes]


def test_a_changed_file_is_seen_by_the_next_look_and_read_by_no_request(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    write(path, "one")
    file = PolicyFile(path)
    first = file._policy
    assert names(first) == ["one", "default"]
    write(path, "two")
    assert file._policy is first
    file.check()
    assert names(file._policy) == ["two", "default"]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[PolicyFile]:
    write(tmp_path / "policy.yaml", "one")
    file = PolicyFile(tmp_path / "policy.yaml")
    yield file
    file.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "fivelevers-policy"]


def test_the_first_question_starts_the_watch_and_no_other_is_needed(watched: PolicyFile) -> None:
    assert names(watched.current()) == ["one", "default"]
    assert watched.path is not None
    write(watched.path, "two")
    deadline = time.monotonic() + 10
    while names(watched._policy) != ["two", "default"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    watched.current()
    assert len([thread for thread in threading.enumerate() if thread.name == "fivelevers-policy"]) == 1


def test_a_forked_process_watches_for_itself(watched: PolicyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.current()
    before = watched._thread
    watched.close()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    watched.current()
    assert watched._thread is not before
    watched.close()


def test_a_bad_or_missing_file_keeps_the_last_good_policy_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, told = tmp_path / "policy.yaml", list[PolicyError]()
    write(path, "good")
    file = PolicyFile(path, told.append)
    good = file._policy
    assert metrics.policy_bad._value.get() == 0
    path.write_text("routes: 3")
    file.check()
    file.check()
    assert file._policy is good
    assert file.problem is not None
    assert "routes: 3 is not a list" in file.problem
    assert metrics.policy_bad._value.get() == 1
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    path.unlink()
    file.check()
    assert file._policy is good
    assert "No such file" in file.problem
    assert len(told) == 2
    write(path, "good")
    file.check()
    assert file._policy is good
    assert (file.problem or "good", metrics.policy_bad._value.get()) == ("good", 0)


def test_included_files_are_watched_as_they_come_change_and_go(tmp_path: Path) -> None:
    path, teams, told = tmp_path / "policy.yaml", tmp_path / "teams", list[PolicyError]()
    teams.mkdir()
    path.write_text("include: ['teams/*.yaml', own.yaml]")
    file = PolicyFile(path, told.append)
    assert file.problem is not None
    assert "own.yaml" in file.problem
    file.check()
    assert len(told) == 1
    (tmp_path / "own.yaml").write_text("routes: []")
    file.check()
    assert (file.problem or "good", names(file._policy)) == ("good", ["default"])
    write(teams / "a.yaml", "a")
    file.check()
    assert names(file._policy) == ["a", "default"]
    write(teams / "a.yaml", "aa")
    file.check()
    assert names(file._policy) == ["aa", "default"]
    (teams / "a.yaml").unlink()
    file.check()
    assert names(file._policy) == ["default"]


def test_a_mounted_config_map_is_followed_and_nothing_is_written(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "policy.yaml", version)
        (tmp_path / version).chmod(0o500)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "policy.yaml").symlink_to("data/policy.yaml")
    before = sorted(tmp_path.rglob("*"))
    file = PolicyFile(tmp_path / "policy.yaml")
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "data")
    file.check()
    assert names(file._policy) == ["two", "default"]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_policy_in_other_words_stays_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("defaults: {levers: {batch: {mode: on}}}")
    file = PolicyFile(path)
    first = file._policy
    path.write_text("# more words\ndefaults: {levers: {batch: {mode: on}}}")
    file.check()
    assert file._policy is first
    warnings = [record for record in caplog.records if "before its turn" in record.message]
    assert len(warnings) == 2  # on another line, so it is told again
    file.check()
    assert len([record for record in caplog.records if "before its turn" in record.message]) == 2


def test_a_look_that_fails_does_not_end_the_watch(watched: PolicyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([RuntimeError("odd"), None])
    seen = threading.Event()

    def check() -> None:
        error = next(looks, None)
        if error is not None:
            raise error
        seen.set()

    monkeypatch.setattr("fivelevers.stores.policy_file.CHECK_EVERY_S", 0.01)
    monkeypatch.setattr(watched, "check", check)
    watched.current()
    assert seen.wait(timeout=10)


def test_who_looks_with_it_is_told_before_a_policy_is_in_force_and_can_not_stop_it(tmp_path: Path) -> None:
    path, told = tmp_path / "policy.yaml", list[tuple[list[str], list[str]]]()
    file: PolicyFile | None = None

    def look(policy: Policy) -> None:
        told.append((names(policy), names(file._policy) if file else []))
        raise RuntimeError("odd")

    write(path, "one")
    file = PolicyFile(path, on_look=look)
    write(path, "two")
    file.check()
    file.check()
    one, two = ["one", "default"], ["two", "default"]
    assert told == [(one, []), (two, one), (two, two)]
    path.write_text("routes: 3")
    file.check()
    file.check()
    assert told[3:] == [(two, two)]


def test_without_a_file_nothing_acts_and_nothing_runs() -> None:
    file = PolicyFile(None)
    assert file.current() == EMPTY
    assert file._thread is None


def test_a_file_that_was_never_good_leaves_every_lever_off(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("{{")
    file = PolicyFile(tmp_path / "policy.yaml")
    assert file._policy == EMPTY
    assert file.problem is not None
