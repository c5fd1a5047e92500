"""The lane's requests on a real Redis: accepted once, seen by their owner, taken back, ended once."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fivelevers.errors import StoreError
from fivelevers.levers.batch.lifecycle import BatchState
from fivelevers.levers.batch.work import Terms, WorkState
from fivelevers.stores import lane as lane_module
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches
from fivelevers.stores.lane_record import HEAD_BYTES, PREFIX
from tests.redis_server import Server
from tests.unit.stores.lane_works import GROUP, answer, new_id, work


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lane")
    running = Server(folder, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
    yield running
    running.close()


@pytest.fixture
async def lane(server: Server) -> AsyncIterator[Lane]:
    server.flush()
    opened = Lane(server.url, {})
    yield opened
    await opened.close()


async def test_what_is_accepted_is_seen_as_it_was(lane: Lane) -> None:
    asked = work(body='{"text":"ü\\n"}'.encode(), about={"session": "s", "n": 3}, terms=Terms(flush_rows=7, keep_s=99))
    accepted = await lane.accept(asked, now=time.time())
    seen = await lane.view(accepted.id)
    assert accepted.created
    assert seen is not None
    assert seen.work == asked
    assert (seen.state, seen.result, seen.batch, seen.attempts) == (WorkState.QUEUED, None, None, 0)


async def test_ids_that_are_none_name_nothing(lane: Lane) -> None:
    for odd in ("flr_", "flr_xyz", f"flr_{'0' * 31}*", f"{'0' * 32}", new_id()):
        assert await lane.view(odd) is None
        assert await lane.cancel(odd) is None
        assert not await lane.take(odd)
        assert not await lane.delete(odd)


async def test_the_first_answer_wins_and_the_rest_are_told_apart(lane: Lane) -> None:
    asked = work(terms=Terms(keep_s=500))
    await lane.accept(asked, now=time.time())
    first = answer(asked.id, body=b'{"n": 1}')
    assert await lane.finish(first, batch="b" * 16) == "done"
    assert await lane.finish(first, batch="b" * 16) == "again"
    assert await lane.finish(answer(asked.id, live=True)) == "late"
    assert await lane.finish(answer(new_id())) == "gone"
    seen = await lane.view(asked.id)
    assert seen is not None
    assert seen.result == first
    assert seen.work == asked
    async with lane.link.asking("test") as redis:
        assert await redis.ttl(f"{PREFIX}r:{asked.id[4:]}") == -1  # it stays until it was told of


@pytest.mark.parametrize(
    ("status", "live", "state"),
    [(200, False, WorkState.DONE), (400, False, WorkState.FAILED), (200, True, WorkState.RESCUED)],
)
async def test_how_a_request_ends(lane: Lane, status: int, live: bool, state: WorkState) -> None:
    asked = work()
    await lane.accept(asked, now=time.time())
    await lane.finish(answer(asked.id, status=status, live=live))
    seen = await lane.view(asked.id)
    assert seen is not None
    assert seen.state is state
    assert (await lane.stats()).groups[0].ended[state] == 1


async def test_a_key_of_idempotency_names_one_request_of_a_tenant(lane: Lane) -> None:
    now, first = time.time(), work()
    assert (await lane.accept(first, idempotency_key="k", fingerprint="f", now=now)).created
    same = await lane.accept(work(), idempotency_key="k", fingerprint="f", now=now)
    assert (same.id, same.created, same.conflict) == (first.id, False, "in-flight")
    joined = await lane.accept(work(), idempotency_key="k", fingerprint="f", attach=True, now=now)
    assert (joined.id, joined.created, joined.conflict) == (first.id, False, "")
    other = await lane.accept(work(), idempotency_key="k", fingerprint="g", now=now)
    assert (other.id, other.conflict) == (first.id, "other-body")
    assert (await lane.accept(work(tenant="team-b"), idempotency_key="k", fingerprint="g", now=now)).created
    await lane.finish(answer(first.id))
    ended = await lane.accept(work(), idempotency_key="k", fingerprint="f", now=now)
    assert (ended.id, ended.created, ended.conflict) == (first.id, False, "")


async def test_a_retry_attaches_while_the_first_is_in_flight(lane: Lane) -> None:
    now, first = time.time(), work()
    await lane.accept(first, fingerprint="f", now=now)
    assert (await lane.accept(work(), fingerprint="f", attach=True, now=now)).id == first.id
    assert (await lane.accept(work(tenant="team-b"), fingerprint="f", attach=True, now=now)).created
    again = await lane.accept(work(), fingerprint="f", now=now)  # asked once more, on purpose
    assert again.created
    await lane.finish(answer(first.id))
    assert (await lane.accept(work(), fingerprint="f", attach=True, now=now)).id == again.id
    await lane.cancel(again.id)
    assert (await lane.accept(work(), fingerprint="f", attach=True, now=now)).created


async def test_the_same_call_sent_twice_is_accepted_once(lane: Lane) -> None:
    asked = work()
    for _ in range(2):
        assert (await lane.accept(asked, idempotency_key="k", fingerprint="f", now=time.time())).created
    group = (await lane.stats()).groups[0]
    assert (group.group, group.queued, group.accepted) == (GROUP, 1, 1)


async def test_cancelled_and_taken_requests_wait_no_more(lane: Lane) -> None:
    cancelled, taken = work(), work()
    for asked in (cancelled, taken):
        await lane.accept(asked, now=time.time())
    seen = await lane.cancel(cancelled.id)
    assert seen is not None
    assert seen.state is WorkState.CANCELLED
    assert await lane.take(taken.id)
    assert not await lane.take(taken.id)  # somebody has it
    assert not await lane.take(cancelled.id)
    stats = await lane.stats()
    assert (stats.groups[0].queued, stats.live, stats.untold) == (0, 1, 1)
    assert await lane.finish(answer(taken.id, live=True)) == "done"
    assert await lane.finish(answer(cancelled.id)) == "late"
    assert (await lane.stats()).live == 0


async def test_who_asks_a_sent_request_live_is_the_only_one(lane: Lane) -> None:
    """Its caller's patience often ends with its deadline: a worker would ask it live at the same moment."""
    asked, batches = work(), Batches(lane)
    await lane.accept(asked, now=time.time())
    batch = await batches.plan(GROUP, await batches.queued(GROUP, 1), lease_s=60)
    assert batch is not None
    batch = await batches.advance(batch, BatchState.UPLOADING, in_s=0)
    assert batch is not None
    assert not await lane.take(asked.id)
    assert not await batches.open_rows(batch)
    assert not await batches.due_live(10, lease_s=1)
    row = answer(asked.id)
    assert await lane.finish(row, batch=batch.id) == "done"  # the first answer wins, and the batch may be quicker
    assert await lane.finish(answer(asked.id, live=True)) == "late"


async def test_what_is_deleted_while_a_provider_has_it_stays_until_its_row_was_metered(lane: Lane) -> None:
    before_telling, after_telling, batches = work(), work(), Batches(lane)
    for asked in (before_telling, after_telling):
        await lane.accept(asked, now=time.time())
    batch = await batches.plan(GROUP, await batches.queued(GROUP, 2), lease_s=60)
    assert batch is not None
    await batches.advance(batch, BatchState.UPLOADING, in_s=0)
    await lane.cancel(after_telling.id)
    await batches.told(await batches.due_told(10, lease_s=1))
    for asked in (before_telling, after_telling):
        assert await lane.delete(asked.id)
    await batches.told(await batches.due_told(10, lease_s=1))
    for asked in (before_telling, after_telling):
        assert await lane.view(asked.id) is None
        assert await lane.finish(answer(asked.id), batch=batch.id) == "late"  # not "gone": it is on the bill
        seen = await lane.view(asked.id, deleted=True)
        assert seen is not None
        assert seen.work == asked
        await lane.delete(asked.id)  # somebody asks for it once more: its row is still awaited
        assert await lane.view(asked.id, deleted=True) is not None
        await lane.delete(asked.id, metered=True)
        assert await lane.view(asked.id, deleted=True) is None


async def test_who_waits_is_woken_by_the_end(lane: Lane, server: Server) -> None:
    asked, elsewhere = work(), Lane(server.url, {})
    await lane.accept(asked, now=time.time())
    early = await lane.wait(asked.id, 0.05)
    assert early is not None
    assert early.state is WorkState.QUEUED
    waiting = [asyncio.create_task(lane.wait(asked.id, 30)) for _ in range(20)]
    await asyncio.sleep(0.1)
    await elsewhere.finish(answer(asked.id))
    for seen in await asyncio.wait_for(asyncio.gather(*waiting), 10):
        assert seen is not None
        assert seen.state is WorkState.DONE
    assert await lane.wait(new_id(), 30) is None
    await elsewhere.close()


async def test_a_tenant_pages_through_its_own_latest_first(lane: Lane) -> None:
    now = time.time()
    mine = [work(accepted_at=now + n) for n in range(5)]
    for asked in (*mine, work(tenant="team-b")):
        await lane.accept(asked, now=now)
    await lane.delete(mine[3].id)
    first = await lane.page("team-a", limit=2)
    rest = await lane.page("team-a", after=first[-1].work.id, limit=10)
    assert [seen.work.id for seen in first + rest] == [mine[n].id for n in (4, 2, 1, 0)]
    assert await lane.page("team-a", after=new_id()) == []
    other = await lane.page("team-a", after=new_id(), older_than=mine[2].accepted_at, limit=10)
    assert [seen.work.id for seen in other] == [mine[n].id for n in (2, 1, 0)]  # rather twice than never


async def test_lists_forget_what_is_gone(lane: Lane) -> None:
    for _ in range(10):
        asked = work()
        await lane.accept(asked, now=time.time())
        async with lane.link.asking("test") as redis:
            await redis.delete(f"{PREFIX}r:{asked.id[4:]}")
    async with lane.link.asking("test") as redis:
        (key,) = await redis.keys(f"{PREFIX}t:*")
        assert await redis.zcard(key) == 1


async def test_a_deleted_request_is_seen_no_more(lane: Lane) -> None:
    asked = work()
    await lane.accept(asked, now=time.time())
    assert await lane.delete(asked.id)
    assert await lane.view(asked.id) is None
    assert not await lane.delete(asked.id)
    assert (await lane.stats()).untold == 1  # it is metered before it goes


async def test_content_is_encrypted_for_its_own_request(server: Server) -> None:
    server.flush()
    key = {"FIVELEVERS_CONTENT_KEY": b64encode(bytes(range(32))).decode()}
    sealed, blind = Lane(server.url, key), Lane(server.url, {})
    asked = work(body=b'{"secret":"swordfish"}')
    await sealed.accept(asked, now=time.time())
    await sealed.finish(answer(asked.id, body=b'{"secret":"mackerel"}'))
    seen = await sealed.view(asked.id)
    assert seen is not None
    assert seen.result is not None
    assert seen.result.body == b'{"secret":"mackerel"}'
    with server.client() as client:
        record = client.get(f"{PREFIX}r:{asked.id[4:]}")
    assert record is not None
    assert len(record) > HEAD_BYTES
    with pytest.raises(StoreError, match="which is not here"):
        await blind.view(asked.id)
    await sealed.close()
    await blind.close()


async def test_always_means_on_disk(lane: Lane, server: Server) -> None:
    asked = work(terms=Terms(fsync="always"))
    assert (await lane.accept(asked, now=time.time())).created
    with server.client() as client:
        client.config_set("appendonly", "no")
        refused = work(terms=Terms(fsync="always"))
        with pytest.raises(StoreError, match="can not be accepted"):
            await lane.accept(refused, now=time.time())
        client.config_set("appendonly", "yes")
    await lane.withdraw_doubtful()  # its caller has asked it live
    assert await lane.view(refused.id) is None
    assert await lane.view(asked.id) is not None


async def test_a_killed_redis_keeps_what_it_has_acknowledged(tmp_path: Path) -> None:
    server = Server(tmp_path, "--appendonly", "yes", "--appendfsync", "everysec")
    lane = Lane(server.url, {})
    kept = [work() for _ in range(50)]
    for asked in kept:
        await lane.accept(asked, now=time.time())
    server.kill()
    server.start()
    for asked in kept:
        assert await lane.view(asked.id) is not None
    await lane.close()
    server.close()


async def test_a_redis_that_hangs_is_an_error_and_its_accept_is_taken_back(
    lane: Lane, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "LIMIT_S", 0.2)
    hasty, asked = Lane(server.url, {}), work()
    server.pause()
    try:
        with pytest.raises(StoreError, match="can not be accepted"):
            await hasty.accept(asked, now=time.time())
    finally:
        server.go_on()
    assert (await hasty.accept(work(), now=time.time())).created
    assert await hasty.view(asked.id) is None
    await hasty.close()


async def test_what_is_doubtful_is_taken_back_once_by_many_at_a_time(
    lane: Lane, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_module, "LIMIT_S", 0.3)
    hasty, doubtful = Lane(server.url, {}), [work() for _ in range(2)]
    await hasty.accept(work(), now=time.time())
    server.pause()
    try:
        asking = [hasty.accept(asked, now=time.time()) for asked in doubtful]
        assert all(isinstance(told, StoreError) for told in await asyncio.gather(*asking, return_exceptions=True))
    finally:
        server.go_on()
    more = await asyncio.gather(*(hasty.accept(work(), now=time.time()) for _ in range(8)))
    assert all(accepted.created for accepted in more)
    assert [await lane.view(asked.id) for asked in doubtful] == [None] * 2
    await hasty.close()
