"""The semantic tier: the nearest questions of a scope and of no other, each with an answer that is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.memory import Vector
from fivelevers.stores.answer_keys import BUCKETS, answer_prefix, bucket_of, question_key
from fivelevers.stores.answers import Answers
from tests.redis_server import Server
from tests.unit.stores.answering import DIMENSION, SIGNATURE, hex_id, put, said, unit

SCOPE = "5" * 32


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "local", vectors=True)
    yield server
    server.close()


@pytest.fixture
async def pair(redis: Server) -> AsyncIterator[tuple[Answers, Answers]]:
    """Two replicas in front of an empty Redis."""
    redis.flush()
    both = Answers(redis.url), Answers(redis.url)
    yield both
    for store in both:
        await store.close()


@pytest.fixture
def client(redis: Server) -> Iterator[Any]:
    with redis.client() as made:
        yield made


def mixed(one: Vector, other: Vector, share: float) -> Vector:
    """Between two orthogonal vectors: its cosine with ``one`` is sqrt(1 - share ** 2)."""
    rest = (1 - share * share) ** 0.5
    return [rest * a + share * b for a, b in zip(one, other, strict=True)]


async def test_the_nearest_come_first_with_all_that_is_known_of_them(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    axes = [[float(at == n) for at in range(DIMENSION)] for n in range(2)]
    for n in range(12):
        near = mixed(axes[0], axes[1], n / 12)
        await put(one, SCOPE, f"{n:032x}", near, answer=f"a{n}", new=said(f"text {n}"))
    found = await other.nearest(SCOPE, axes[0], 8)
    assert [neighbour.question for neighbour in found] == [f"{n:032x}" for n in range(8)]
    assert [neighbour.answer for neighbour in found] == [f"a{n}" for n in range(8)]
    for n, neighbour in enumerate(found):
        assert neighbour.similarity == pytest.approx((1 - (n / 12) ** 2) ** 0.5, abs=2e-3)  # float16
        assert neighbour.signature == SIGNATURE


async def test_either_protocol_of_redis_is_read(redis: Server) -> None:
    redis.flush()
    vector = unit(random.Random(1))
    for protocol in (2, 3):
        store = Answers(f"{redis.url}?protocol={protocol}")
        await put(store, SCOPE, f"{protocol:032x}", vector, answer=f"a{protocol}")
        assert len(await store.nearest(SCOPE, vector, 8)) == protocol - 1
        await store.close()


async def test_aliases_of_one_answer_are_neighbours_of_their_own(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    vector = unit(random.Random(1))
    await put(one, SCOPE, "a" * 32, vector)
    await put(one, SCOPE, "b" * 32, vector, alias=True)
    found = await other.nearest(SCOPE, vector, 8)
    assert {(neighbour.question, neighbour.answer) for neighbour in found} == {("a" * 32, "a1"), ("b" * 32, "a1")}


async def test_a_question_without_a_vector_is_no_neighbour(pair: tuple[Answers, Answers]) -> None:
    one, _ = pair
    vector = unit(random.Random(1))
    await put(one, SCOPE, "a" * 32)
    await put(one, SCOPE, "b" * 32, vector, answer="a2")
    assert [neighbour.question for neighbour in await one.nearest(SCOPE, vector, 8)] == ["b" * 32]
    assert (await one.exact(SCOPE, "a" * 32, lease_s=0)).id == "a1"


async def test_no_candidate_has_expired_or_lost_its_answer(pair: tuple[Answers, Answers], client: Any) -> None:
    one, _ = pair
    vector = unit(random.Random(1))
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # what has expired lies about until somebody looks
    try:
        for n in range(6):
            await put(one, SCOPE, f"{n:032x}", vector, answer=f"a{n}")
        await one.forget_answer(SCOPE, "a0")
        client.delete(answer_prefix(SCOPE) + "a1")  # as by eviction
        client.pexpire(question_key(SCOPE, f"{2:032x}"), 1)
        client.pexpire(answer_prefix(SCOPE) + "a3", 1)
        await asyncio.sleep(0.01)
        for _ in range(2):
            found = await one.nearest(SCOPE, vector, 8)
            assert {neighbour.answer for neighbour in found} == {"a4", "a5"}
    finally:
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    assert not client.exists(*(question_key(SCOPE, f"{n:032x}") for n in (0, 1, 3)))  # they take no place any more


async def test_ten_thousand_pairs_that_differ_in_scope_never_meet(pair: tuple[Answers, Answers]) -> None:
    """Each scope holds the very vector and the very question id of every other."""
    rng = random.Random(5)
    one, other = pair
    vector, question = unit(rng), hex_id(rng)
    scopes = [hex_id(rng) for _ in range(150)]
    # Scopes that differ in a single digit, in the digits that choose the bucket and in those that do not.
    for at in range(32):
        scopes.append(scopes[0][:at] + ("0" if scopes[0][at] != "0" else "1") + scopes[0][at + 1 :])
    for n, scope in enumerate(scopes):
        if n % 2 == 0:
            await put(one, scope, question, vector, answer=f"a{n}", new=said(f"text {n}"))
    assert len(scopes) // 2 * len(scopes) >= 10_000
    for n, scope in enumerate(scopes):
        found = await other.nearest(scope, vector, 200)
        exact = await other.exact(scope, question, lease_s=0)
        if n % 2 == 0:
            assert [neighbour.answer for neighbour in found] == [f"a{n}"]
            assert exact.id == f"a{n}"
        else:
            assert found == []
            assert exact.id is None
        assert await other.answer(scope, f"a{n + 1}") is None


async def test_two_embedders_dimensions_never_meet(pair: tuple[Answers, Answers]) -> None:
    one, _ = pair
    small, large = unit(random.Random(1), 8), unit(random.Random(1), 16)
    await put(one, SCOPE, "a" * 32, small, answer="a1")
    await put(one, SCOPE, "b" * 32, large, answer="a2")
    assert [neighbour.answer for neighbour in await one.nearest(SCOPE, small, 8)] == ["a1"]
    assert [neighbour.answer for neighbour in await one.nearest(SCOPE, large, 8)] == ["a2"]


async def test_an_entry_takes_at_most_4000_bytes_of_redis(pair: tuple[Answers, Answers], client: Any) -> None:
    """With an answer of 800 bytes that compression makes little of, in every bucket."""
    one, _ = pair
    rng = random.Random(3)
    scopes = [f"{n:08x}" + "0" * 24 for n in range(BUCKETS)]
    for scope in scopes:
        assert await one.nearest(scope, unit(rng), 1) == []  # the indexes are there before anything is weighed
    before, entries = client.info("memory")["used_memory"], 3000
    for n in range(entries):
        text = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz     ", k=800))
        await put(one, scopes[n % BUCKETS], hex_id(rng), unit(rng), answer=hex_id(rng), new=said(text))
    assert (client.info("memory")["used_memory"] - before) / entries <= 4000


async def test_replicas_that_make_an_index_at_once_make_one(redis: Server) -> None:
    redis.flush()
    stores = [Answers(redis.url) for _ in range(8)]
    vector = unit(random.Random(1))
    puts = (put(store, SCOPE, f"{n:032x}", vector, answer=f"a{n}") for n, store in enumerate(stores))
    await asyncio.gather(*puts)
    found = await asyncio.gather(*(store.nearest(SCOPE, vector, 8) for store in stores))
    assert [len(one) for one in found] == [8] * 8
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    ("field", "dimension", "prefix", "says"),
    [
        ("v384", "8", "fl:{g5}:q:", "v384 has dim 8 instead of 384"),
        ("v8", "8", "fl:{g5}:q:", "v384 has type nothing"),
        ("v384", "384", "theirs:", "prefixes"),
    ],
)
async def test_an_index_of_ours_with_another_schema_is_named_and_never_written_into(
    pair: tuple[Answers, Answers], client: Any, field: str, dimension: str, prefix: str, says: str
) -> None:
    one, other = pair
    name = f"fl:{bucket_of(SCOPE)}:i1:384"
    attributes = ["VECTOR", "FLAT", "6", "TYPE", "FLOAT16", "DIM", dimension, "DISTANCE_METRIC", "COSINE"]
    schema = ["SCHEMA", "scope", "TAG", field, *attributes]
    client.execute_command("FT.CREATE", name, "ON", "HASH", "PREFIX", "1", prefix, *schema)
    vector = unit(random.Random(1))
    for _ in range(2):
        with pytest.raises(StoreError, match=f"another schema: {says}.*FT.DROPINDEX"):
            await one.nearest(SCOPE, vector, 8)
    assert await put(one, SCOPE, "a" * 32, vector) == "a1"
    assert not client.hexists(question_key(SCOPE, "a" * 32), "v384")
    assert (await one.exact(SCOPE, "a" * 32, lease_s=0)).id == "a1"  # the exact tier goes on
    elsewhere = "6" * 32
    await put(one, elsewhere, "a" * 32, vector)
    assert len(await one.nearest(elsewhere, vector, 8)) == 1  # and so does every other bucket
    client.execute_command("FT.DROPINDEX", name)
    assert await other.nearest(SCOPE, vector, 8) == []
