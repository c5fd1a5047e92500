"""What the plugin stands on goes away while traffic runs: it passes, somebody is told, and nothing that can be kept is
lost."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.wire.proxy import GPT, Proxy, together, wait_for
from tests.wire.workers import replace, rewrite_policy

_IN_FORCE_AFTER_S = 1.0  # what the policy promises of a change
_TRIES = 5  # a busy machine breaks a promise of a second now and then, a broken plugin each time
_STEPS_ASIDE = "metering steps aside, traffic passes: ledger"
_CALLS = 12  # at once: enough to reach both workers


def served(proxy: Proxy, what: str) -> dict[str, str]:
    """Several requests at the same time, all answered; the route of each by its request id."""
    replies = together([partial(proxy.call, "chat", GPT, f"What is {n} + 1? ({what})") for n in range(_CALLS)])
    assert all(reply.text for reply in replies)
    return {reply.request_id: reply.headers["x-fivelevers-route"] for reply in replies}


def in_ledger(proxy: Proxy, request_ids: set[str]) -> list[str]:
    """The request of every ledger row of these requests: one that is there twice is twice in it."""
    rows = proxy.query("select request_id from attempt")
    return [row["request_id"] for row in rows if row["request_id"] in request_ids]


def policy_with(route: str) -> str:
    return yaml.safe_dump({"routes": [{"name": route, "match": {"model": "support-*"}}]})


@pytest.fixture
def policy(quiet: Proxy) -> Iterator[Path]:
    """The policy file, put back and in force again afterwards."""
    good = quiet.policy.read_text()
    yield quiet.policy
    rewrite_policy(quiet, good)
    assert set(served(quiet, "restored").values()) == {"support"}


def test_a_changed_policy_is_in_force_on_both_workers_within_a_second(quiet: Proxy, policy: Path) -> None:
    def in_time(name: str) -> bool:
        replace(policy, policy_with(name))
        time.sleep(_IN_FORCE_AFTER_S)
        return set(served(quiet, name).values()) == {name}

    assert any(in_time(f"renamed-{n}") for n in range(_TRIES))


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("routes: [{name: support, levers: {prompt_cach: {}}}]", "did you mean `prompt_cache`"),
        (None, "No such file or directory"),
    ],
)
def test_a_bad_policy_file_leaves_the_last_good_one_in_force(
    quiet: Proxy, policy: Path, bad: str | None, told: str
) -> None:
    lines, bypasses = refusals(quiet), quiet.metric("fivelevers_bypass_total", lever="all", reason="policy")
    if bad is None:
        policy.unlink()
    else:
        replace(policy, bad)

    def refused() -> int:
        assert set(served(quiet, "bad policy").values()) == {"support"}
        return refusals(quiet)

    expected = lines + quiet.stack.workers
    wait_for(refused, lambda count: count >= expected)
    assert refused() == expected  # each worker says it once
    after = quiet.metric("fivelevers_bypass_total", lever="all", reason="policy")
    assert after == bypasses + quiet.stack.workers
    health = quiet.http.get("/fivelevers/v1/health").raise_for_status().json()
    assert told in health["policy_problem"]
    assert "support" in health["routes"]

    rewrite_policy(quiet, policy_with("repaired"))
    assert set(served(quiet, "repaired").values()) == {"repaired"}
    assert quiet.http.get("/fivelevers/v1/health").json()["policy_problem"] is None


def refusals(proxy: Proxy) -> int:
    return proxy.log().count("policy file refused")


def test_without_its_ledger_the_proxy_serves_and_the_events_wait(quiet: Proxy) -> None:
    before, lines = bypassed(quiet, "ledger"), quiet.log().count(_STEPS_ASIDE)
    with away(quiet, Path(quiet.stack.ledger_url.removeprefix("sqlite:///"))) as ledger:
        ledger.mkdir()
        asked = set(served(quiet, "no ledger"))
        assert wait_for(lambda: bypassed(quiet, "ledger"), lambda n: n > before) > before
        assert list(quiet.stack.spool_dir.iterdir())
        ledger.rmdir()
    drained(quiet)
    assert sorted(in_ledger(quiet, asked)) == sorted(asked)
    said = quiet.log().count(_STEPS_ASIDE)
    assert said >= 1
    assert said - lines <= quiet.stack.workers  # one line a minute from each


def test_without_its_spool_the_proxy_serves_and_counts_what_it_can_not_keep(quiet: Proxy) -> None:
    with away(quiet, quiet.stack.spool_dir) as spool:
        spool.write_text("in the way")
        # What a worker's open segment takes is kept, wherever that went; it closes within a second.
        assert any(all_counted_as_lost(quiet) for _ in range(_TRIES))
        spool.unlink()
    asked = set(served(quiet, "spool is back"))
    drained(quiet)
    assert sorted(in_ledger(quiet, asked)) == sorted(asked)


def all_counted_as_lost(proxy: Proxy) -> bool:
    before = bypassed(proxy, "spool")
    expected = before + len(served(proxy, "no spool"))
    return wait_for(lambda: bypassed(proxy, "spool"), lambda n: n >= expected, limit_s=5) >= expected


def drained(proxy: Proxy) -> None:
    """Wait until the ledger has all that the workers have accepted."""
    assert wait_for(lambda: list(proxy.stack.spool_dir.iterdir()), lambda left: not left) == []


def bypassed(proxy: Proxy, reason: str) -> float:
    return proxy.metric("fivelevers_bypass_total", lever="metering", reason=reason)


@contextlib.contextmanager
def away(proxy: Proxy, path: Path) -> Iterator[Path]:
    """Moves a file or folder and what belongs to it aside; its place is free within."""
    drained(proxy)  # nothing is being written to it
    moved = [(each, each.with_name(f"aside-{each.name}")) for each in path.parent.glob(f"{path.name}*")]
    for here, there in moved:
        here.rename(there)
    try:
        yield path
    finally:
        for here, there in moved:
            there.rename(here)


def test_without_redis_the_proxy_serves(quiet: Proxy) -> None:
    """Last here: Redis comes back as another process."""
    redis = quiet.stack.pids["redis"]
    os.kill(redis, signal.SIGKILL)
    try:
        assert set(served(quiet, "no redis").values()) == {"support"}
        quiet.http.get("/fivelevers/v1/health").raise_for_status()
    finally:
        quiet.stack._processes["redis"].stop()
        quiet.stack._start_redis()  # on the same port; no command of the stack needs to do this
    quiet.stack.check()
