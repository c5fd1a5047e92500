"""Epochs: what was invalidated stays so, whatever becomes of Redis; a look-up waits for the first reading alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fivelevers.errors import StoreError
from fivelevers.stores import answer_epochs
from fivelevers.stores.answers import Answers
from tests.redis_server import Server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
async def pair(redis: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Answers, Answers]]:
    monkeypatch.setattr(answer_epochs, "LIVE_S", 0.02)
    redis.flush()
    both = Answers(redis.url), Answers(redis.url)
    yield both
    for store in both:
        await store.close()


async def until(store: Answers, name: str, epoch: int) -> None:
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        if (await store.epochs([name])).get(name) == epoch:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(await store.epochs([name]))


async def test_a_raised_epoch_holds_here_at_once_and_everywhere_soon(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    assert await other.epochs(["route:chat"]) == {}
    assert await one.raise_epoch("route:chat") == 1
    assert await one.raise_epoch("route:chat") == 2
    assert await one.epochs(["route:chat", "route:other"]) == {"route:chat": 2}
    await until(other, "route:chat", 2)


async def test_a_redis_that_lost_them_is_told_again(pair: tuple[Answers, Answers], redis: Server) -> None:
    one, other = pair
    await one.raise_epoch("tenant:a")
    await until(one, "tenant:a", 1)
    redis.flush()
    for _ in range(1000):
        assert await one.epochs(["tenant:a"]) == {"tenant:a": 1}
        await asyncio.sleep(0.01)
        with redis.client() as client:
            if client.hget(answer_epochs.KEY, "tenant:a") == b"1":
                break
    assert await other.epochs(["tenant:a"]) == {"tenant:a": 1}


async def test_no_number_comes_twice(pair: tuple[Answers, Answers], redis: Server) -> None:
    one, _ = pair
    await one.epochs([])
    assert [await one.raise_epoch("tenant:a") for _ in range(3)] == [1, 2, 3]
    redis.flush()
    assert await one.raise_epoch("tenant:a") == 4


async def test_while_redis_is_away_the_last_known_ones_stand(pair: tuple[Answers, Answers], redis: Server) -> None:
    one, other = pair
    await one.raise_epoch("model:m")
    await until(one, "model:m", 1)
    redis.kill()
    try:
        for _ in range(20):
            assert await one.epochs(["model:m"]) == {"model:m": 1}
            await asyncio.sleep(0.01)
        with pytest.raises(StoreError):
            await other.epochs(["model:m"])  # it never knew any
    finally:
        redis.start()
