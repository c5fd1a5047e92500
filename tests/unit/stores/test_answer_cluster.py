"""Lever 2's store on a Redis Cluster of three nodes: every entry is found, whichever node has it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from fivelevers.errors import StoreError
from fivelevers.stores import redis_async
from fivelevers.stores.answer_keys import bucket_of
from fivelevers.stores.answers import Answers
from tests.redis_server import Cluster
from tests.unit.stores.answering import hex_id, put, said, unit


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture
async def pair(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Answers, Answers]]:
    monkeypatch.setattr(redis_async, "LIMIT_S", 5.0)
    for node in cluster.nodes:
        node.flush()
    both = Answers(cluster.url), Answers(cluster.url)
    yield both
    for store in both:
        await store.close()


async def test_every_entry_is_found_in_both_tiers(pair: tuple[Answers, Answers], cluster: Cluster) -> None:
    one, other = pair
    rng = random.Random(2)
    entries = [(hex_id(rng), hex_id(rng), unit(rng)) for _ in range(120)]
    for n, (scope, question, vector) in enumerate(entries):
        assert (await one.exact(scope, question, lease_s=30)).first
        assert (
            await put(one, scope, question, vector, answer=f"a{n}", new=said(f"text {n}", tags=("all",)), tags=("all",))
            == f"a{n}"
        )
    for n, (scope, question, vector) in enumerate(entries):
        found = await other.nearest(scope, vector, 8)
        assert [(neighbour.question, neighbour.answer) for neighbour in found] == [(question, f"a{n}")]
        assert (await other.exact(scope, question, lease_s=0)).id == f"a{n}"
        answer = await other.answer(scope, f"a{n}")
        assert answer is not None
        assert answer.text == f"text {n}"
    for node in cluster.nodes:
        with node.client() as client:
            assert client.dbsize() > 0
            assert len(client.execute_command("FT._LIST")) > 0
    assert await other.tagged("all", remove=False) == 240
    assert await other.tagged("all", remove=True) == 240
    assert await one.nearest(entries[0][0], entries[0][2], 8) == []


async def test_either_protocol_of_redis_is_read(cluster: Cluster, pair: tuple[Answers, Answers]) -> None:
    one, _ = pair
    rng = random.Random(6)
    other = Answers(f"{cluster.url}?protocol=3")
    for n in range(6):
        scope, question, vector = hex_id(rng), hex_id(rng), unit(rng)
        await put(other if n % 2 else one, scope, question, vector)
        for store in (one, other):
            assert [neighbour.question for neighbour in await store.nearest(scope, vector, 8)] == [question]
    await other.close()


async def test_leases_epochs_and_what_was_served_work_across_nodes(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    rng = random.Random(3)
    for n in range(20):
        scope, question = hex_id(rng), hex_id(rng)
        assert (await one.exact(scope, question, lease_s=30)).first
        assert (await other.exact(scope, question, lease_s=30)).taken
        await one.release(scope, question)
        assert (await other.exact(scope, question, lease_s=30)).first
        await one.served(f"request-{n}", scope, question)
        await one.may_repeat(scope, question, "session", question, window_s=60.0)
        assert await other.served_from(f"request-{n}") == (scope, question)
        assert await other.repeats(scope, question, "session") == question
        assert await other.forget_question(scope, question) is False
    assert await one.raise_epoch("route:chat") == 1
    assert await other.epochs(["route:chat"]) == {"route:chat": 1}


async def test_a_node_that_is_away_takes_its_own_scopes_with_it_for_as_long(
    pair: tuple[Answers, Answers], cluster: Cluster
) -> None:
    """The cluster goes on without it; when it is back, empty, its indexes are made again."""
    one, _ = pair
    rng = random.Random(4)
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("cluster-require-full-coverage", "no")
    entries = [(f"{n:08x}" + "0" * 24, hex_id(rng), unit(rng)) for n in range(16)]
    for scope, question, vector in entries:
        await put(one, scope, question, vector)
    assert len({bucket_of(scope) for scope, _, _ in entries}) == 16
    lost = cluster.nodes[2]
    lost.kill()
    states = await asyncio.gather(
        *(one.nearest(scope, vector, 8) for scope, _, vector in entries), return_exceptions=True
    )
    assert any(isinstance(state, StoreError) for state in states)
    lost.start()
    for scope, question, vector in entries:
        for _ in range(1000):
            try:
                await put(one, scope, question, vector)
                if await one.nearest(scope, vector, 8):
                    break
            except StoreError:
                pass
            await asyncio.sleep(0.02)
        assert [neighbour.question for neighbour in await one.nearest(scope, vector, 8)] == [question]
