"""Whatever a Redis can do to lever 2: each call ends in time, says why, and all works again when Redis does."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.stores import answer_index, redis_async
from fivelevers.stores.answers import Answers
from fivelevers.stores.breaker import Breaker
from tests.redis_server import Server
from tests.unit.stores.answering import put, said, unit

SCOPE = "5" * 32
QUESTION = "a" * 32
VECTOR = unit(random.Random(1))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"), vectors=True)
    yield server
    server.close()


@pytest.fixture
async def store(redis: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Answers]:
    monkeypatch.setattr(redis_async, "LIMIT_S", 5.0)  # a busy machine is no fault of Redis
    redis.flush()
    made = Answers(redis.url)
    rests(made, 0.05)
    yield made
    await made.close()


def rests(store: Answers, rest_s: float) -> None:
    store._link.breaker = Breaker(rest_s=rest_s)


def changes(state: str) -> float:
    return float(metrics.store_changes.labels("semantic_cache", state)._value.get())


async def soon_found(store: Answers) -> None:
    """A Redis that is back is used again, and an entry that is stored then is found in both tiers."""
    for _ in range(500):
        try:
            await put(store, SCOPE, QUESTION, VECTOR)
            if await store.nearest(SCOPE, VECTOR, 8):
                break
        except StoreError:
            pass
        await asyncio.sleep(0.02)
    assert [neighbour.question for neighbour in await store.nearest(SCOPE, VECTOR, 8)] == [QUESTION]
    assert (await store.exact(SCOPE, QUESTION, lease_s=0)).answer is not None


async def test_without_a_query_engine_the_exact_tier_works_and_the_other_says_why(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Server(tmp_path_factory.mktemp("plain"))
    store = Answers(plain.url)
    try:
        assert (await store.exact(SCOPE, QUESTION, lease_s=30)).first
        assert await put(store, SCOPE, QUESTION, VECTOR) == "a1"
        assert (await store.exact(SCOPE, QUESTION, lease_s=30)).id == "a1"
        for _ in range(5):
            with pytest.raises(StoreError, match=r"can not have a vector index.*Redis 8, or Redis Stack, has"):
                await store.nearest(SCOPE, VECTOR, 8)
        assert not store.breaker.open  # it answers: nothing else shall stop because of it
        await store.exact(SCOPE, QUESTION, lease_s=30)
    finally:
        await store.close()
        plain.close()


async def test_a_redis_that_hangs_is_left_alone_after_three_silences_with_one_line(
    store: Answers, redis: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    away, back = changes("away"), changes("back")
    rests(store, 0.1)
    redis.pause()
    try:
        with caplog.at_level(logging.WARNING, "fivelevers"):
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.04):
                        await store.nearest(SCOPE, VECTOR, 8)
            with pytest.raises(StoreError, match="a moment ago"):
                await store.exact(SCOPE, QUESTION, lease_s=30)
            await asyncio.sleep(0.15)
            for _ in range(3):  # it rested, and is tried again in vain: no second line
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.04):
                        await store.exact(SCOPE, QUESTION, lease_s=30)
    finally:
        redis.go_on()
    assert [record.message for record in caplog.records if "left alone" in record.message] != []
    assert sum("left alone" in record.message for record in caplog.records) == 1
    await soon_found(store)
    assert (changes("away") - away, changes("back") - back) == (1, 1)


async def test_a_call_has_a_limit_of_its_own(store: Answers, redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    await store.close()
    monkeypatch.setattr(redis_async, "LIMIT_S", 0.05)
    redis.pause()
    try:
        slow = (
            store.exact(SCOPE, QUESTION, lease_s=1),
            store.nearest(SCOPE, VECTOR, 8),
            put(store, SCOPE, QUESTION, VECTOR),
        )
        for found in await asyncio.gather(*slow, return_exceptions=True):
            assert isinstance(found, StoreError)
    finally:
        redis.go_on()
    monkeypatch.setattr(redis_async, "LIMIT_S", 5.0)
    await store.close()
    await soon_found(store)


async def test_a_full_redis_refuses_what_is_new_and_still_answers(store: Answers, redis: Server) -> None:
    await put(store, SCOPE, QUESTION, VECTOR, new=said("kept"))
    with redis.client() as client:
        client.config_set("maxmemory", "1")
        try:
            for n in range(4):
                with pytest.raises(StoreError, match="maxmemory"):
                    await put(store, SCOPE, f"{n:032x}", VECTOR, answer=f"b{n}")
            assert not store.breaker.open
            kept = (await store.exact(SCOPE, QUESTION, lease_s=30)).answer
            assert kept is not None
            assert kept.text == "kept"
            assert len(await store.nearest(SCOPE, VECTOR, 8)) == 1
            alone = await store.exact(SCOPE, "b" * 32, lease_s=30)  # no lease can be kept: each goes on its own
            assert (alone.first, alone.taken) == (False, False)
        finally:
            client.config_set("maxmemory", "0")
    assert await put(store, SCOPE, "b" * 32, VECTOR, answer="b9") == "b9"


async def test_a_store_that_is_refused_ends_its_lease(store: Answers, redis: Server) -> None:
    assert (await store.exact(SCOPE, QUESTION, lease_s=30)).first
    with redis.client() as client:
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreError, match="maxmemory"):
                await put(store, SCOPE, QUESTION)
        finally:
            client.config_set("maxmemory", "0")
    assert (await store.exact(SCOPE, QUESTION, lease_s=30)).first


async def test_a_redis_that_comes_back_empty_gets_its_indexes_again(store: Answers, redis: Server) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    redis.kill()
    with pytest.raises(StoreError):
        await store.nearest(SCOPE, VECTOR, 8)
    redis.start()
    await soon_found(store)
    redis.flush()  # drops indexes too
    await soon_found(store)


async def test_an_index_that_vanished_is_made_again_over_the_entries_that_are_there(
    store: Answers, redis: Server
) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    with redis.client() as client:
        client.execute_command("FT.DROPINDEX", "fl:{g5}:i1:384")
    for _ in range(500):
        if await store.nearest(SCOPE, VECTOR, 8):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the entry was not indexed again")


async def test_a_redis_that_was_away_while_an_index_was_made_is_not_taken_for_one_without_vectors(
    redis: Server, store: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_index, "_AGAIN_AFTER_S", 3600.0)
    await store.exact(SCOPE, QUESTION, lease_s=0)
    redis.kill()
    for _ in range(2):
        with pytest.raises(StoreError, match="Error"):
            await store.nearest(SCOPE, VECTOR, 8)
    redis.start()
    await soon_found(store)


async def test_connections_that_redis_closed_are_made_again(store: Answers, redis: Server) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    await asyncio.gather(*(store.exact(SCOPE, QUESTION, lease_s=0) for _ in range(20)))
    with redis.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    found = await asyncio.gather(*(store.exact(SCOPE, QUESTION, lease_s=0) for _ in range(20)))
    assert {one.id for one in found} == {"a1"}


async def test_a_master_that_became_a_replica_reads_and_says_that_it_is_read_only(
    store: Answers, redis: Server
) -> None:
    await put(store, SCOPE, QUESTION, VECTOR)
    with redis.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            assert (await store.exact(SCOPE, QUESTION, lease_s=30)).id == "a1"
            with pytest.raises(StoreError, match=r"(?i)read.?only"):
                await put(store, SCOPE, "b" * 32, VECTOR, answer="a2")
            lone = await store.exact(SCOPE, "b" * 32, lease_s=30)
            assert (lone.first, lone.taken) == (False, False)
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")
    await soon_found(store)


async def test_many_callers_share_a_bounded_number_of_connections(
    store: Answers, redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_async, "_CALLS_AT_ONCE", 4)
    found = await asyncio.gather(*(store.exact(SCOPE, QUESTION, lease_s=30) for _ in range(300)))
    assert sum(one.first for one in found) == 1
    with redis.client() as client:
        assert len(client.client_list()) <= 6  # four, the test's own, and one of the fixture's flush on its way out


def test_an_event_loop_that_ended_leaves_the_next_one_what_it_needs(redis: Server) -> None:
    redis.flush()
    store = Answers(redis.url)

    async def use(closing: bool) -> int:
        await put(store, SCOPE, QUESTION, VECTOR)
        await store.epochs(["route:chat"])
        found = len(await store.nearest(SCOPE, VECTOR, 8))
        if closing:
            await store.close()
        return found

    assert [asyncio.run(use(closing=True)) for _ in range(3)] == [1, 1, 1]
