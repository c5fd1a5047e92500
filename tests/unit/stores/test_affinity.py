"""What deployments hold, in Redis and in memory: the same answers, bounded, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from fivelevers.embedded import binaries
from fivelevers.embedded.health import redis_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.affinity import Ending, Path, Replica, Step
from fivelevers.stores.affinity import Affinity, RedisAffinity
from fivelevers.stores.affinity_memory import MemoryAffinity

T = TypeVar("T")
STILL = 1e-200  # tokens a second: a queue that never moves, so that two clocks can not disagree


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = Port(0), tmp_path_factory.mktemp("redis")
    command = [str(binaries.redis_server(os.environ)), "--bind", HOST, "--port", str(port.number), "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not redis_ok(HOST, port.number) and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"redis://{HOST}:{port.number}/0"
    server.kill()
    server.wait()
    port.release()


@pytest.fixture(params=["memory", "redis"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Affinity], Awaitable[T]]], T]:
    """Runs a test's body with an empty store of each kind."""
    url = request.getfixturevalue("url") if request.param == "redis" else ""

    def runner(body: Callable[[Affinity], Awaitable[T]]) -> T:
        async def with_store() -> T:
            async with emptied(url) if url else in_memory() as store:
                return await body(store)

        return asyncio.run(with_store())

    return runner


@asynccontextmanager
async def in_memory() -> AsyncIterator[Affinity]:
    yield MemoryAffinity(time.time)


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator[Affinity]:
    with Redis.from_url(url) as client:
        client.flushall()
    store = RedisAffinity(url)
    try:
        yield patient(store)
    finally:
        await store.close()


def patient(store: RedisAffinity) -> RedisAffinity:
    """A machine under load may take longer than a request would wait."""
    store.limit_s = 5.0
    return store


def path(*names: int, each: int = 1000, rest: int = 0) -> Path:
    """Steps named by all that came before them."""
    nodes = [sha256(bytes(names[: at + 1])).digest()[:8] for at in range(len(names))]
    return Path(tuple(Step(node, each) for node in nodes), each * len(names) + rest)


def replicas(count: int, kv_tokens: int = 1_000_000, rate: float = STILL) -> list[Replica]:
    return [Replica(f"replica {at} {{}}", kv_tokens, rate) for at in range(count)]


Run = Callable[[Callable[[Affinity], Awaitable[T]]], T]


def test_a_conversation_stays_and_another_goes_elsewhere(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        fleet = replicas(2)
        first = await store.place("g", fleet, path(1, 2, 3, rest=10))
        assert (first.held_steps, first.work, first.mark) == (0, 3010, 3010)
        await store.ended(first, Ending(first_token_ago_s=0.0))
        assert (await store.place("g", fleet, path(9, 9, 9))).replica != first.replica
        again = await store.place("g", fleet, path(1, 2, 3, 4, rest=5))
        assert (again.replica, again.held, again.work) == (first.replica, 3000, 1005)

    run(body)


def test_groups_do_not_see_each_other(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        await store.place("one", replicas(1), path(1, 2))
        assert (await store.place("two", replicas(1), path(1, 2))).held_steps == 0

    run(body)


def test_it_holds_no_more_than_the_replica_can(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        fleet = replicas(1, kv_tokens=4000)
        await store.place("g", fleet, path(1, 2, 3))
        await store.place("g", fleet, path(1, 8))
        assert (await store.place("g", fleet, path(1, 2, 3))).held == 3000  # 4,000 tokens in all
        assert (await store.place("g", fleet, path(7, 7))).held == 0  # takes the places of 3 and of 8
        assert (await store.place("g", fleet, path(1, 2, 3))).held == 2000

    run(body)


def test_a_failed_attempt_leaves_neither_work_nor_belief(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        fleet = replicas(1)
        await store.place("g", fleet, path(1))
        failed = await store.place("g", fleet, path(1, 2, 3))
        shared = await store.place("g", fleet, path(1, 2, 5))
        await store.ended(failed, Ending(failed=True))
        again = await store.place("g", fleet, path(1, 2, 3))
        assert again.held == 2000  # what another request has used since stays
        assert again.mark == shared.mark - failed.work + 1000

    run(body)


def test_a_report_that_it_is_gone_takes_all_that_was_used_before(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        fleet = replicas(1)
        await store.place("g", fleet, path(1, 1))
        await store.place("g", fleet, path(2, 2))
        await asyncio.sleep(0.001)
        await store.place("g", fleet, path(3, 3))
        placed = await store.place("g", fleet, path(2, 2))
        await store.ended(placed, Ending(missing=True))
        assert [(await store.place("g", fleet, path(n, n))).held for n in (1, 2, 3)] == [0, 2000, 2000]

    run(body)


def test_work_of_a_proxy_that_died_is_over_by_itself(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        fleet = replicas(2, rate=1e7)
        first = await store.place("g", fleet, path(1, 2, rest=100))
        await asyncio.sleep(0.01)
        assert (await store.place("g", fleet, path(1, 2, rest=200))).replica == first.replica

    run(body)


def test_live_prefixes_of_managed_deployments(run: Run[None]) -> None:
    async def body(store: Affinity) -> None:
        await store.keep("g", "a", path(1, 2), 300)
        await store.keep("g", "b", path(1, 2, 3), 300)
        await store.keep("g", "b", path(1), 3600)
        await store.keep("g", "c", path(1, 2, 3, 4), -1)
        assert await store.live("g", ["a", "b", "c", "d"], path(1, 2, 3, 4)) == {"a": 2, "b": 3, "c": 0, "d": 0}
        assert await store.live("other", ["a"], path(1, 2)) == {"a": 0}

    run(body)


def test_a_long_life_is_not_shortened(url: str) -> None:
    async def body() -> None:
        async with emptied(url) as store:
            await store.keep("g", "a", path(1), 3600)
            await store.keep("g", "a", path(1, 2), 300)

    asyncio.run(body())
    with Redis.from_url(url) as client:
        (key,) = client.keys()
        by_life = client.zrange(key, 0, -1, withscores=True)
        assert by_life[1][1] - by_life[0][1] > 3000
        assert client.ttl(key) > 3000


OPERATIONS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2), min_size=1, max_size=5),
        st.sampled_from(["open", "first_token", "ended", "failed", "missing"]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.sampled_from([2000, 6000, 100_000]))
def test_redis_and_memory_decide_alike(url: str, operations: list[tuple[list[int], str]], kv_tokens: int) -> None:
    endings = {
        "first_token": Ending(first_token_ago_s=0.0),
        "ended": Ending(),
        "failed": Ending(failed=True),
        "missing": Ending(missing=True),
    }

    async def decisions(store: Affinity) -> list[tuple[str, int, float, float]]:
        made = []
        for names, then in operations:
            placed = await store.place("g", replicas(3, kv_tokens), path(*names, rest=7))
            made.append((placed.replica.id, placed.held_steps, placed.work, placed.mark))
            await asyncio.sleep(0.0002)
            if then != "open":
                await store.ended(placed, endings[then])
        return made

    async def both() -> None:
        async with emptied(url) as shared, in_memory() as own:
            assert await decisions(shared) == await decisions(own)

    asyncio.run(both())


def test_keys_of_one_decision_are_in_one_slot_and_expire(url: str) -> None:
    async def body() -> None:
        async with emptied(url) as store:
            await store.place("a group with {braces}", replicas(3), path(1, 2))
            await store.keep("a group with {braces}", "managed", path(1), 300)

    asyncio.run(body())
    with Redis.from_url(url) as client:
        keys = client.keys()
        assert len(keys) == 3
        assert len({key.partition(b"{")[2].partition(b"}")[0] for key in keys}) == 1
        assert all(client.ttl(key) > 0 for key in keys)


def test_a_prefix_takes_less_than_200_bytes(url: str) -> None:
    async def body() -> None:
        async with emptied(url) as store:
            for n in range(250):
                await store.place("g", replicas(1), path(n, *range(9), each=100))

    asyncio.run(body())
    with Redis.from_url(url) as client:
        (held,) = client.keys("*:held")
        assert client.memory_usage(held, samples=0) / client.zcard(held) < 200


@pytest.mark.parametrize("silent", [False, True], ids=["gone", "silent"])
def test_a_redis_that_does_not_answer_is_not_waited_for(silent: bool) -> None:
    async def body(port: int) -> None:
        store = RedisAffinity(f"redis://{HOST}:{port}/0")
        async with asyncio.timeout(5):
            for _ in range(3):
                with pytest.raises(StoreError, match="can not be pinned"):
                    await store.place("g", replicas(2), path(1))
            with pytest.raises(StoreError, match="a moment ago"):  # nor asked again by every request
                await store.place("g", replicas(2), path(1))
        await store.close()

    with socket.create_server((HOST, 0)) as server:  # takes connections and says nothing
        port = server.getsockname()[1]
        if not silent:
            server.close()
        asyncio.run(body(port))


def test_a_url_that_names_no_redis_is_refused() -> None:
    with pytest.raises(StoreError, match="FIVELEVERS_REDIS_URL"):
        asyncio.run(RedisAffinity("http://nowhere").live("g", ["a"], path(1)))
