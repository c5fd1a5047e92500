"""What one replica learned of a prefix another one reads; a Redis that is away costs little and breaks nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.node import Entry, Node, Role
from fivelevers.levers.prompt_cache.reuse import entered
from fivelevers.stores import prefixes
from fivelevers.stores.breaker import Breaker
from fivelevers.stores.prefixes import Prefixes
from tests.redis_server import Server

SCOPE = b"scope-01"
NOW = 1_800_000_000.0
(*_, COUNTED) = entered(7, time.time())  # of the week: what counts a minute is forgotten before a long run gets here


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
async def pair(redis: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Prefixes, Prefixes]]:
    """Two replicas in front of an empty Redis."""
    monkeypatch.setattr(prefixes, "FLUSH_EVERY_S", 0.01)
    monkeypatch.setattr(prefixes, "SHARE_EVERY_S", 0.0)
    monkeypatch.setattr(prefixes, "LIMIT_S", 10.0)  # a busy machine is no fault of Redis
    redis.flush()
    both = Prefixes(redis.url), Prefixes(redis.url)
    for store in both:
        store.breaker = Breaker(rest_s=0.1)
    yield both
    for store in both:
        await store.close()


def name(index: int) -> bytes:
    return index.to_bytes(8, "big")


def node(visits: int) -> Node:
    return Node(NOW, Role.TIP, 1, visits, 3, Entry(300, NOW + 300), None)


async def known(store: Prefixes, names: list[bytes], count: int) -> dict[bytes, Node]:
    for _ in range(1000):
        found = await store.look(SCOPE, names)
        if len(found) == count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(found)} nodes instead of {count}")


async def test_nodes_are_shared_and_only_asked_ones_come_back(pair: tuple[Prefixes, Prefixes]) -> None:
    one, other = pair
    one.note(SCOPE, {name(2): node(2), name(300): node(7)}, "chat", {})
    found = await known(other, [name(index) for index in range(301)], 2)
    assert found == {name(2): node(2), name(300): node(7)}
    assert await other.look(b"scope-02", [name(2)]) == {}


async def test_the_later_state_stands(pair: tuple[Prefixes, Prefixes]) -> None:
    one, other = pair
    one.note(SCOPE, {name(1): node(1)}, "chat", {})
    await known(one, [name(1)], 1)
    other.note(SCOPE, {name(1): node(2)}, "chat", {})
    for _ in range(1000):
        if (await one.look(SCOPE, [name(1)]))[name(1)].visits == 2:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the second write never arrived")


async def test_statistics_add_up_over_replicas(pair: tuple[Prefixes, Prefixes]) -> None:
    one, other = pair
    for store, count in ((one, 2.0), (other, 0.5), (one, 1.0)):
        store.note(SCOPE, {name(1): node(1)}, "chat", {COUNTED: count})
        store.note(SCOPE, {name(1): node(1)}, "other", {COUNTED: 100.0})
    for _ in range(1000):
        for store in pair:
            store.note(SCOPE, {}, "chat", {})
        await asyncio.sleep(0.02)
        if all(store.hazards("chat").counts.get(COUNTED) == 3.5 for store in pair):
            return
    raise AssertionError([dict(store.hazards("chat").counts) for store in pair])


async def test_a_state_of_another_release_is_forgotten(pair: tuple[Prefixes, Prefixes], redis: Server) -> None:
    with redis.client() as client:
        client.set(b"fl:{" + SCOPE + b"}:" + name(9), b"another shape")
    assert await pair[0].look(SCOPE, [name(9)]) == {}


async def test_nodes_expire_and_a_look_keeps_them(pair: tuple[Prefixes, Prefixes], redis: Server) -> None:
    one, _ = pair
    one.note(SCOPE, {name(1): node(1)}, "chat", {})
    await known(one, [name(1)], 1)
    key = b"fl:{" + SCOPE + b"}:" + name(1)
    with redis.client() as client:
        assert 0 < client.ttl(key) <= prefixes.LIVES_S
        client.expire(key, 10)
        await one.look(SCOPE, [name(1)])
        assert client.ttl(key) > 10


async def test_a_node_takes_at_most_200_bytes_of_redis(pair: tuple[Prefixes, Prefixes], redis: Server) -> None:
    one, _ = pair
    with redis.client() as client:
        before = client.info("memory")["used_memory"]
        for start in range(0, 20_000, 1000):
            one.note(SCOPE, {name(index): node(1) for index in range(start, start + 1000)}, "chat", {})
            await known(one, [name(start + 999)], 1)
        assert client.dbsize() >= 20_000
        assert (client.info("memory")["used_memory"] - before) / 20_000 <= 200


async def test_a_redis_that_hangs_is_given_up_and_then_left_alone(
    pair: tuple[Prefixes, Prefixes], redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    await one.look(SCOPE, [name(1)])
    monkeypatch.setattr(prefixes, "LIMIT_S", 0.05)
    one.breaker = Breaker(failures=3, rest_s=60.0)
    redis.pause()
    try:
        for _ in range(3):
            with pytest.raises(StoreError, match="TimeoutError"):
                await one.look(SCOPE, [name(1)])
        with pytest.raises(StoreError, match="a moment ago"):
            await one.look(SCOPE, [name(1)])
    finally:
        redis.go_on()


async def test_a_killed_redis_is_counted_and_used_again_when_it_is_back(
    pair: tuple[Prefixes, Prefixes], redis: Server
) -> None:
    one, _ = pair
    await one.look(SCOPE, [name(1)])
    redis.kill()
    before = metrics.bypass.labels("prompt_cache", "redis")._value.get()
    one.note(SCOPE, {name(1): node(1)}, "chat", {COUNTED: 1.0})
    with pytest.raises(StoreError):
        await one.look(SCOPE, [name(1)])
    limit = time.monotonic() + 10
    while metrics.bypass.labels("prompt_cache", "redis")._value.get() == before and time.monotonic() < limit:
        await asyncio.sleep(0.02)
    assert metrics.bypass.labels("prompt_cache", "redis")._value.get() > before
    redis.start()
    await asyncio.sleep(0.2)
    one.note(SCOPE, {name(1): node(5)}, "chat", {})
    assert (await known(one, [name(1)], 1))[name(1)].visits == 5
    assert one.hazards("chat").counts[COUNTED] == 1.0  # counted while Redis was away


async def test_without_a_redis_every_look_says_so() -> None:
    with pytest.raises(StoreError, match="FIVELEVERS_REDIS_URL"):
        await Prefixes("").look(SCOPE, [name(1)])
