"""A changed policy file reaches every worker of a running proxy, a bad one none; and neither needs a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from fivelevers.policy import load
from tests.wire.proxy import Proxy
from tests.wire.workers import replace

LIMIT_S = 60.0


@pytest.fixture
def edited(quiet: Proxy) -> Iterator[Proxy]:
    """The proxy, whose policy file is afterwards as it was, and in force."""
    before = quiet.policy.read_text()
    yield quiet
    replace(quiet.policy, before)
    quiet.policy.with_name("team.yaml").unlink(missing_ok=True)
    until_both(quiet, lambda health: health["policy"] == load(quiet.policy).hash and not health["policy_problem"])


def until_both(proxy: Proxy, good: Callable[[dict[str, object]], bool]) -> None:
    """Until so many answers in a row are good that both workers were asked; a connection stays with one worker."""
    deadline, row = time.monotonic() + LIMIT_S, 0
    while row < 12:
        assert time.monotonic() < deadline
        row = row + 1 if good(httpx.get(f"{proxy.stack.litellm_url}/fivelevers/v1/health").json()) else 0


def test_a_changed_file_is_in_force_and_a_bad_one_changes_nothing(edited: Proxy) -> None:
    team = edited.policy.with_name("team.yaml")
    team.write_text("routes: [{name: reloaded, match: {model: reloaded-*}}]")
    replace(edited.policy, f"include: ['te*.yaml']\n{edited.policy.read_text()}")
    good = load(edited.policy).hash
    until_both(edited, lambda health: health["policy"] == good and "reloaded" in str(health["routes"]))
    team.write_text("routes: [{name: reloaded, match: {modle: reloaded-*}}]")
    until_both(edited, lambda health: health["policy"] == good and "team.yaml:1" in str(health["policy_problem"]))
    scrape = httpx.get(f"{edited.stack.litellm_url}/fivelevers/v1/metrics").text
    assert [line for line in scrape.splitlines() if line.startswith("fivelevers_policy_bad")][-1].endswith(" 1.0")
