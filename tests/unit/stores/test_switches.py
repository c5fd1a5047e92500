"""Every process sees what is switched off, whichever store is away, and forgets none of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.policy import Policy, parse
from fivelevers.stores import switch_history
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switch_hash import KEY, SwitchHash
from fivelevers.stores.switches import Switches
from fivelevers.switch import ANY, EVERY_LEVER, Action, Switch
from tests.redis_server import Server, soon

BY: dict[str, Any] = {"actor": "ann@desk", "reason": "wrong answers"}


def places(redis: Server) -> set[str]:
    with redis.client() as client:
        return {name.decode() for name in client.hkeys(KEY)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.stores.switches.LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("fivelevers.stores.switches._AGAIN_AFTER_S", 0.1)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


Make = Callable[..., Switches]


@pytest.fixture
def make() -> Iterator[Make]:
    """A process's switches: it follows the stores unless told not to."""
    made: list[Switches] = []

    def one(
        redis_url: str, ledger_url: str, *, follow: bool = True, policy: Callable[[], Policy] | None = None
    ) -> Switches:
        switches = Switches(redis_url, ledger_url, policy)
        made.append(switches)
        if follow:
            switches.start(wait_s=10)
        return switches

    yield one
    for switches in made:
        switches.close()


def history(url: str) -> list[tuple[str, str, str]]:
    ledger = Ledger(url)
    ledger.create()
    rows = sorted(switch_history.read(ledger), key=lambda switch: switch.at)
    ledger.close()
    return [(switch.action.value, switch.route, switch.lever) for switch in rows]


def broken(folder: Path) -> str:
    """The URL of a ledger that nobody can open."""
    (folder / "file").write_text("")
    return f"sqlite:///{folder}/file/ledger.db"


def bypasses() -> float:
    labels = {"lever": "all", "reason": "switches"}
    return metrics.registry.get_sample_value("fivelevers_bypass_total", labels) or 0.0


@pytest.mark.parametrize("with_redis", [False, True])
def test_every_process_follows_and_a_later_one_knows_at_its_start(
    request: pytest.FixtureRequest, url: str, make: Make, with_redis: bool
) -> None:
    redis_url = request.getfixturevalue("redis").url if with_redis else ""
    first, second = make(redis_url, url), make(redis_url, url)
    (done,) = first.off("support", "batch", **BY)
    assert (done.actor, done.reason) == ("ann@desk", "wrong answers")
    assert first.current().off("support") == {"batch"}
    assert soon(lambda: second.current().off("support") == {"batch"})
    assert second.current().off("tickets") == frozenset()
    assert make(redis_url, url).current().standing == (done,)
    assert second.resume(ANY, ANY, **BY) == (done,)
    assert soon(lambda: not first.current().standing)
    assert make(redis_url, url).current().standing == ()
    assert history(url) == [("off", "support", "batch"), ("resume", "support", "batch")]


def test_what_another_process_did_a_moment_ago_can_be_resumed(url: str, make: Make) -> None:
    one, other = make("", url, follow=False), make("", url, follow=False)
    (done,) = one.off(ANY, ANY, **BY)
    assert other.resume(ANY, ANY, **BY) == (done,)


def test_a_retreat_is_told_apart_and_lifted_alike(url: str, make: Make) -> None:
    switches = make("", url, follow=False)
    switches.off("support", "semantic_cache", actor="guard", reason="it does not pay", action=Action.RETREAT)
    assert switches.current().retreated("support") == {"semantic_cache"}
    assert [switch.action for switch in make("", url, follow=False).look().standing] == [Action.RETREAT]
    assert switches.resume("support", "semantic_cache", **BY)
    assert switches.current().off("support") == frozenset()


def test_a_guards_retreat_is_counted_and_told_once(url: str, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    def counted() -> float:
        labels = {"route": "support", "lever": "routing"}
        return metrics.registry.get_sample_value("fivelevers_retreats_total", labels) or 0.0

    switches, before = make("", url, follow=False), counted()
    for _ in range(2):
        switches.retreat("support", "routing", actor="watch", reason="it loses")
    (standing,) = switches.current().standing
    assert (standing.action, standing.actor, standing.reason) == (Action.RETREAT, "watch", "it loses")
    assert counted() == before + 1
    assert [record.getMessage() for record in caplog.records] == ["routing on support goes back to shadow: it loses"]


def test_an_emptied_redis_is_made_whole(redis: Server, url: str, make: Make) -> None:
    make(redis.url, url, follow=False).off("support", ANY, **BY)
    redis.flush()
    fresh = make(redis.url, url)  # it was not there when this was said
    assert fresh.current().off("support") == EVERY_LEVER
    assert soon(lambda: places(redis) == {"support/*"})
    redis.flush()
    assert soon(lambda: places(redis) == {"support/*"})


def test_a_killed_redis_changes_nothing_and_the_ledger_serves(redis: Server, url: str, make: Make) -> None:
    first, second = make(redis.url, url), make(redis.url, url)
    first.off("support", "batch", **BY)
    assert soon(lambda: bool(second.current().standing))
    redis.kill()
    assert soon(lambda: second.states["redis"] == "down")
    assert second.current().off("support") == {"batch"}
    first.off("tickets", ANY, **BY)
    assert soon(lambda: second.current().off("tickets") == EVERY_LEVER)
    first.resume("support", ANY, **BY)
    assert soon(lambda: not second.current().off("support"))
    redis.start()
    assert soon(lambda: places(redis) == {"support/batch", "tickets/*"})
    assert soon(lambda: first.states["redis"] == second.states["redis"] == "up")
    assert [switch.place for switch in second.current().standing] == [("tickets", ANY)]


def test_redis_alone_carries_a_switch_and_the_ledger_gets_it_later(redis: Server, tmp_path: Path, make: Make) -> None:
    url = broken(tmp_path)
    first, second = make(redis.url, url), make(redis.url, url)
    first.off(ANY, "routing", **BY)
    first.resume(ANY, "routing", **BY)
    first.off(ANY, "batch", **BY)
    assert soon(lambda: second.current().off("support") == {"batch"})
    assert (first.states["redis"], first.states["ledger"]) == ("up", "down")
    (tmp_path / "file").unlink()  # the database is back
    said = [("off", ANY, "routing"), ("resume", ANY, "routing"), ("off", ANY, "batch")]
    assert soon(lambda: first.states["ledger"] == "up")
    assert soon(lambda: history(url) == said), history(url)


def test_with_neither_store_the_last_board_stays_and_nothing_new_is_accepted(
    redis: Server, tmp_path: Path, make: Make
) -> None:
    switches = make(redis.url, broken(tmp_path))
    switches.off("support", ANY, **BY)
    before = bypasses()
    redis.kill()
    assert soon(lambda: switches.states["redis"] == "down")
    assert switches.current().off("support") == EVERY_LEVER
    for act in (switches.off, switches.resume):
        with pytest.raises(StoreError, match=r"redis: .*ledger: |FIVELEVERS_LEDGER_URL"):
            act(ANY, ANY, **BY)
    assert [switch.place for switch in switches.current().standing] == [("support", ANY)]
    assert soon(lambda: bypasses() >= before + 1)


def test_a_ledger_that_was_replaced_gets_what_is_off(url: str, tmp_path: Path, make: Make) -> None:
    switches = make("", url)
    switches.off("support", ANY, **BY)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    assert soon(lambda: (tmp_path / "ledger.db").exists() and history(url) == [("off", "support", ANY)])


def test_beside_redis_a_shared_database_is_asked_less_often_and_still_heard(
    redis: Server, postgres_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fivelevers.stores.switches._LEDGER_EVERY_S", 0.5)
    fleet, apart = make(redis.url, postgres_url), make("", postgres_url, follow=False)
    apart.off("support", ANY, **BY)  # by somebody who does not know of Redis
    assert soon(lambda: fleet.current().off("support") == EVERY_LEVER)
    assert soon(lambda: places(redis) == {"support/*"})


def test_a_clock_that_is_behind_still_has_the_last_word(url: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, behind = make("", url, follow=False), make("", url, follow=False)
    ahead.off("support", ANY, **BY)
    now = time.time()
    monkeypatch.setattr("fivelevers.stores.switches.time.time", lambda: now - 3600)
    assert behind.resume("support", ANY, **BY)
    assert make("", url, follow=False).look().standing == ()


def test_what_else_stands_in_the_hash_hides_nothing(redis: Server) -> None:
    shared = SwitchHash(redis.url)
    good = Switch(1.5, "e1", Action.OFF, "support", ANY, "ann", None)
    shared.put([good])
    with Redis.from_url(redis.url) as client:
        for at, value in enumerate((b"", b"1 2 {}", b"1 2 nothing", b'1 2 {"action":"sing"}', b"1 2 []")):
            client.hset(KEY, f"odd{at}", value)
    assert shared.read() == [good]
    older, newer = (Switch(at, "e2", Action.RESUME, "support", ANY, "bob", None) for at in (1.4, 10.0))
    shared.put([older])
    assert shared.read() == [good]
    shared.put([newer])
    assert shared.read() == [newer]
    shared.close()


def test_a_url_that_is_none_is_named(tmp_path: Path, make: Make) -> None:
    with pytest.raises(StoreError, match=r"FIVELEVERS_REDIS_URL.*redis://host:port/0"):
        make("localhost:6379", broken(tmp_path), follow=False).look()
    with pytest.raises(StoreError, match="neither Redis nor a ledger"):
        make("", "", follow=False).look()


def test_a_policy_that_comes_into_force_is_recorded_once(url: str, make: Make) -> None:
    routes = "routes: [{{name: support, match: {{model: x}}, holdout: {}}}]"
    policies = [parse(routes.format(share)) for share in (0.1, 0.2, 0.1)]
    in_force = policies[:1]
    workers = [make("", url, policy=lambda: in_force[-1]) for _ in range(3)]
    for policy in policies:
        in_force.append(policy)
        assert soon(lambda: {w.policy_change.new for w in workers if w.policy_change} == {in_force[-1].hash})
    ledger = Ledger(url)
    last = switch_history.last_policy(ledger)
    assert last is not None
    assert (last.old, last.new) == (policies[1].hash, policies[2].hash)
    assert last.changes == ("routes.support.holdout: 0.2 -> 0.1",)
    assert "@" in last.actor
    with ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql("select count(*) from switch where action = 'policy'").scalar()
    ledger.close()
    assert rows == 3
    restarted = make("", url, policy=lambda: in_force[-1])
    assert restarted.policy_change == last
