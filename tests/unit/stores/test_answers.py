"""The exact tier: one answer for a question, one caller that asks for it, and the others who wait for that one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from fivelevers.errors import StoreError
from fivelevers.levers.semantic_cache.memory import Exact
from fivelevers.stores.answer_keys import answer_prefix, lease_key, question_key
from fivelevers.stores.answers import Answers
from tests.redis_server import Server
from tests.unit.stores.answering import put, said

SCOPE, OTHER = "5" * 32, "6" * 32
QUESTION = "a" * 32
TAKEN = Exact(None, None, own=False, first=False, taken=True)
FIRST = Exact(None, None, own=False, first=True, taken=False)
NOTHING = Exact(None, None, own=False, first=False, taken=False)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A plain one: nothing here needs vectors."""
    server = Server(tmp_path_factory.mktemp("redis"))
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


async def test_one_caller_is_first_and_what_it_stores_the_others_get(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    assert await one.exact(SCOPE, QUESTION, lease_s=30) == FIRST
    assert await other.exact(SCOPE, QUESTION, lease_s=30) == TAKEN
    assert await one.exact(SCOPE, QUESTION, lease_s=30) == TAKEN
    assert await other.exact(OTHER, QUESTION, lease_s=30) == FIRST
    new = said()
    assert await put(one, SCOPE, QUESTION, new=new) == "a1"
    assert await other.exact(SCOPE, QUESTION, lease_s=30) == Exact("a1", new, own=True, first=False, taken=False)
    assert await other.answer(SCOPE, "a1") == new
    assert await other.answer(OTHER, "a1") is None


async def test_of_a_hundred_at_once_one_is_first_and_the_others_get_its_answer(pair: tuple[Answers, Answers]) -> None:
    found = await asyncio.gather(*(store.exact(SCOPE, QUESTION, lease_s=30) for _ in range(50) for store in pair))
    assert sum(one.first for one in found) == 1
    assert sum(one.taken for one in found) == 99
    waiting = [asyncio.create_task(store.wait(SCOPE, QUESTION, within_s=30)) for _ in range(49) for store in pair]
    await asyncio.sleep(0.05)
    assert len(pair[0]._waits) == 1  # all who wait in a process ask as one
    new = said()
    await put(pair[0], SCOPE, QUESTION, new=new)
    assert {answer.answer for answer in await asyncio.gather(*waiting)} == {new}
    assert not pair[0]._waits


async def test_a_holder_that_gives_up_sends_the_waiting_on_their_own(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    await one.exact(SCOPE, QUESTION, lease_s=30)
    waiting = asyncio.create_task(other.wait(SCOPE, QUESTION, within_s=30))
    await asyncio.sleep(0.05)
    await one.release(SCOPE, QUESTION)
    assert await waiting == NOTHING
    assert await other.exact(SCOPE, QUESTION, lease_s=30) == FIRST


async def test_the_lease_of_a_holder_that_was_killed_ends_by_itself(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    await one.exact(SCOPE, QUESTION, lease_s=0.2)
    assert await other.wait(SCOPE, QUESTION, within_s=30) == NOTHING
    assert await other.exact(SCOPE, QUESTION, lease_s=30) == FIRST
    await one.release(SCOPE, QUESTION)  # it was not dead after all: the lease is another one's by now
    assert await one.exact(SCOPE, QUESTION, lease_s=30) == TAKEN


async def test_waiting_ends_and_leaves_nothing_behind(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    await one.exact(SCOPE, QUESTION, lease_s=30)
    assert await other.wait(SCOPE, QUESTION, within_s=0.01) == TAKEN
    await other.close()
    assert not other._waits


async def test_of_two_that_store_one_question_at_once_the_first_ones_answer_stands(
    pair: tuple[Answers, Answers], redis: Server
) -> None:
    stores = [put(pair[n % 2], SCOPE, QUESTION, answer=f"a{n}", new=said(f"text {n}")) for n in range(20)]
    stored = set(await asyncio.gather(*stores))
    assert len(stored) == 1
    (winner,) = stored
    assert winner is not None
    found = await pair[0].exact(SCOPE, QUESTION, lease_s=30)
    assert (found.id, found.answer.text if found.answer else None) == (winner, f"text {winner[1:]}")
    with redis.client() as client:
        assert len(client.keys(answer_prefix(SCOPE) + "*")) == 1


async def test_another_question_is_made_an_alias_of_an_answer_and_expires_with_it(
    pair: tuple[Answers, Answers], redis: Server
) -> None:
    one, other = pair
    new = said()
    await put(one, SCOPE, QUESTION, new=new, for_s=100)
    assert await put(other, SCOPE, "b" * 32, alias=True, for_s=100_000) == "a1"
    assert await one.exact(SCOPE, "b" * 32, lease_s=0) == Exact("a1", new, own=False, first=False, taken=False)
    assert await put(other, SCOPE, "c" * 32, answer="nowhere", alias=True) is None
    assert (await one.exact(SCOPE, "c" * 32, lease_s=0)) == NOTHING
    with redis.client() as client:
        ends = {client.expiretime(key) for key in (question_key(SCOPE, "b" * 32), answer_prefix(SCOPE) + "a1")}
    assert len(ends) == 1


async def test_reading_prolongs_nothing_and_what_has_expired_is_gone(
    pair: tuple[Answers, Answers], redis: Server
) -> None:
    one, _ = pair
    await put(one, SCOPE, QUESTION, for_s=100)
    keys = question_key(SCOPE, QUESTION), answer_prefix(SCOPE) + "a1"
    with redis.client() as client:
        before = [client.pexpiretime(key) for key in keys]
        for _ in range(5):
            await one.exact(SCOPE, QUESTION, lease_s=0)
            await one.answer(SCOPE, "a1")
        assert [client.pexpiretime(key) for key in keys] == before
        assert 0 < before[0] / 1000 - time.time() <= 100
        for key in keys:
            client.pexpireat(key, 1)
    assert await one.exact(SCOPE, QUESTION, lease_s=30) == FIRST


async def test_a_question_whose_answer_is_gone_is_asked_anew(pair: tuple[Answers, Answers]) -> None:
    one, other = pair
    await put(one, SCOPE, QUESTION)
    assert await one.forget_answer(SCOPE, "a1")
    assert not await one.forget_answer(SCOPE, "a1")
    assert await other.exact(SCOPE, QUESTION, lease_s=30) == FIRST
    assert await put(other, SCOPE, QUESTION, answer="a2") == "a2"
    assert await one.forget_question(SCOPE, QUESTION)
    assert not await one.forget_question(SCOPE, QUESTION)
    assert (await one.exact(SCOPE, QUESTION, lease_s=0)) == NOTHING


async def test_an_answer_of_another_release_is_replaced(pair: tuple[Answers, Answers], redis: Server) -> None:
    one, _ = pair
    await put(one, SCOPE, QUESTION)
    with redis.client() as client:
        client.set(answer_prefix(SCOPE) + "a1", b"9 another shape", ex=100)
    assert await one.answer(SCOPE, "a1") is None
    assert await one.exact(SCOPE, QUESTION, lease_s=30) == FIRST
    new = said("fresh")
    assert await put(one, SCOPE, QUESTION, answer="a2", new=new) == "a2"
    assert (await one.exact(SCOPE, QUESTION, lease_s=0)).answer == new


async def test_tags_reach_every_scope_and_nothing_else(
    pair: tuple[Answers, Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fivelevers.stores.answer_tags._PAGE", 7)
    one, other = pair
    scopes = [f"{n:08x}" + "0" * 24 for n in range(32)]
    for n, scope in enumerate(scopes):
        await put(one, scope, QUESTION, tags=("even" if n % 2 == 0 else "odd", "eve"))
    assert await other.tagged("even", remove=False) == 32
    assert await other.tagged("even", remove=True) == 32
    assert await other.tagged("even", remove=True) == 0
    left = [(await one.exact(scope, QUESTION, lease_s=0)).answer is not None for scope in scopes]
    assert left == [n % 2 == 1 for n in range(32)]
    assert await one.answer(scopes[0], "a1") is None


async def test_what_a_request_was_served_from_is_known_for_an_outcome_and_a_repeat(
    pair: tuple[Answers, Answers],
) -> None:
    one, other = pair
    entry = "e" * 32  # the stored question that led to the hit, in other words than those that were asked
    await one.served("request-1", SCOPE, entry)
    await one.may_repeat(SCOPE, QUESTION, "session-1", entry, window_s=60.0)
    assert await other.served_from("request-1") == (SCOPE, entry)
    assert await other.served_from("request-3") is None
    assert await other.repeats(SCOPE, QUESTION, "session-1") == entry
    assert await other.repeats(SCOPE, QUESTION, "session-2") is None
    assert await other.repeats(SCOPE, entry, "session-1") is None


async def test_a_lease_is_a_key_that_expires(pair: tuple[Answers, Answers], redis: Server) -> None:
    await pair[0].exact(SCOPE, QUESTION, lease_s=30)
    with redis.client() as client:
        assert 0 < client.pttl(lease_key(SCOPE, QUESTION)) <= 30_000
        await put(pair[0], SCOPE, QUESTION)
        assert not client.exists(lease_key(SCOPE, QUESTION))


async def test_without_a_redis_every_call_says_so() -> None:
    with pytest.raises(StoreError, match="FIVELEVERS_REDIS_URL is not set"):
        await Answers("").exact(SCOPE, QUESTION, lease_s=1)
    with pytest.raises(StoreError, match="write redis://host:port/0"):
        await Answers("http://nowhere").exact(SCOPE, QUESTION, lease_s=1)
