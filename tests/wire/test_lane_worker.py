"""A worker against a provider that fails in every way it can, and the real Redis: each request ends as it should."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx
import orjson
import pytest

from benchmarks.rig.proxies import simulator
from fivelevers.errors import StoreError
from fivelevers.lane.worker import Worker
from fivelevers.levers.batch.lifecycle import Pace
from fivelevers.levers.batch.work import Endpoint, Group, Result, Terms, View, Work, WorkState
from fivelevers.providers.batches import Account
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches
from fivelevers.stores.lane_record import PREFIX
from tests.redis_server import Server
from tests.unit.stores.lane_works import work

PACE = Pace(
    tick_s=0.02, lease_s=2.0, grace_s=1.0, create_limit_s=0.6, poll_first_s=0.05, poll_most_s=0.1, retry_first_s=0.05,
    retry_most_s=0.2,
)  # fmt: skip
OPENAI = Group("openai", "main", Endpoint.CHAT, "gpt-4.1-mini")
ANTHROPIC = Group("anthropic", "main", Endpoint.MESSAGES, "claude-haiku-4-5")
LIMIT_S = 30.0


class Scene:
    """One lane, one provider, and what a worker told."""

    def __init__(self, url: str, lane: Lane) -> None:
        self.url, self.lane = url, lane
        self.told: list[View] = []
        self.late: list[tuple[View, Result]] = []
        self.asked_live: list[str] = []
        self.standings: dict[str, Literal["good", "wait", "revoked"]] = {}
        self.account: Account | None = Account("main", "openai", "sk-a", base_url=f"{url}/v1")
        self.live_status = 200
        self.telling_s = 0.0

    async def fault(self, **rule: Any) -> None:
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/sim/faults", json=rule)).raise_for_status()

    async def settings(self, **values: Any) -> None:
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/sim/batches", json=values)).raise_for_status()

    async def report(self) -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.url}/sim/batches", params={"detail": 1})).json()

    async def accept(self, count: int, group: Group = OPENAI, **changes: Any) -> list[Work]:
        works = []
        for n in range(count):
            body: dict[str, Any] = {
                "model": group.model,
                "messages": [{"role": "user", "content": f"What is {n} + {time.time_ns() % 10**9}?"}],
            }
            body |= {"max_tokens": 30} if group is ANTHROPIC else {}
            values = {"terms": Terms(flush_rows=count, flush_age_s=0.0)} | changes
            works.append(work(group=group, body=orjson.dumps(body), **values))
            await self.lane.accept(works[-1], now=time.time())
        return works

    @asynccontextmanager
    async def working(self, pace: Pace = PACE, clock: Callable[[], float] = time.time) -> AsyncIterator[Worker]:
        async def on_result(view: View) -> None:
            await asyncio.sleep(self.telling_s)
            self.told.append(view)

        async def on_late(view: View, result: Result) -> None:
            self.late.append((view, result))

        async def rescue(asked: Work) -> Result:
            self.asked_live.append(asked.id)
            return Result(asked.id, self.live_status, b'{"live":1}', time.time(), live=True)

        async def standing(asked: Work) -> Literal["good", "wait", "revoked"]:
            return self.standings.get(asked.id, "good")

        worker = Worker(
            self.lane,
            lambda _: self.account,
            on_result,
            rescue,
            on_late=on_late,
            standing=standing,
            pace=pace,
            clock=clock,
        )
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(running, LIMIT_S)

    async def ended(self, works: list[Work]) -> Counter[WorkState]:
        """How they have ended, all of them, and each told of."""
        async with asyncio.timeout(LIMIT_S):
            for asked in works:
                while (view := await self.lane.wait(asked.id, 1.0)) is None or not view.state.ended:
                    pass
            while {asked.id for asked in works} - {view.work.id for view in self.told}:
                await asyncio.sleep(0.01)
        return Counter(view.state for view in self.told)

    async def closed(self) -> None:
        """No batch is left."""
        async with asyncio.timeout(LIMIT_S):
            while (await self.lane.stats()).open_batches:
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("provider")) as url:
        yield url


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lane"), "--appendonly", "yes")
    yield server
    server.close()


@pytest.fixture
async def scene(provider: str, redis: Server) -> AsyncIterator[Scene]:
    redis.flush()
    httpx.post(f"{provider}/sim/reset").raise_for_status()
    lane = Lane(redis.url, {})
    made = Scene(provider, lane)
    await made.settings(seconds=0.1)
    yield made
    await lane.close()


@pytest.mark.parametrize("group", [OPENAI, ANTHROPIC], ids=lambda group: group.provider)
async def test_requests_go_there_and_back_in_one_batch(scene: Scene, group: Group) -> None:
    if group is ANTHROPIC:
        scene.account = Account("main", "anthropic", "sk-a", base_url=scene.url)
    works = await scene.accept(20, group)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 20}
        await scene.closed()
    seen = await scene.report()
    assert [batch["rows"] for batch in seen["batches"]] == [20]
    assert {view.result.provider_batch for view in scene.told if view.result} == {seen["batches"][0]["id"]}
    assert not seen["repeated"]["bodies"]


@pytest.mark.parametrize("group", [OPENAI, ANTHROPIC], ids=lambda group: group.provider)
@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "timeout"])
async def test_a_create_that_nobody_heard_of_is_adopted(scene: Scene, group: Group, fault: str) -> None:
    if group is ANTHROPIC:
        scene.account = Account("main", "anthropic", "sk-a", base_url=scene.url)
    await scene.fault(fault=fault, times=1, match={"api": "batches", "call": "create"}, hang_s=3)
    works = await scene.accept(5, group)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 5}
    assert [batch["rows"] for batch in (await scene.report())["batches"]] == [5]


async def test_a_create_that_was_refused_for_now_is_tried_again(scene: Scene) -> None:
    await scene.fault(fault="429", times=4, match={"api": "batches", "call": "create"})
    await scene.fault(fault="500", times=2, match={"api": "files", "call": "create"})
    works = await scene.accept(3)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 3}
    assert len((await scene.report())["batches"]) == 1


async def test_what_a_provider_never_takes_is_asked_live(scene: Scene) -> None:
    await scene.fault(fault="400", match={"api": "batches", "call": "create"})
    works = await scene.accept(3)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.RESCUED: 3}
        await scene.closed()


async def test_what_an_expired_batch_has_done_is_delivered_and_the_rest_sent_again(scene: Scene) -> None:
    await scene.fault(fault="expire", times=1, share=0.5)
    works = await scene.accept(20)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 20}
    seen = await scene.report()
    ran = Counter(row["body"] for row in seen["detail"] if row["state"] == "succeeded")
    assert set(ran.values()) == {1}
    assert seen["batches"][0]["rows"] == 20
    assert sum(batch["rows"] for batch in seen["batches"][1:]) == 20 - seen["batches"][0]["ran"]


async def test_rows_that_fail_again_and_again_are_asked_live(scene: Scene) -> None:
    await scene.fault(fault="row_error")  # all of them: the output file is null
    works = await scene.accept(8)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.RESCUED: 8}
    sizes = [batch["rows"] for batch in (await scene.report())["batches"]]
    assert sum(sizes) == 24  # three times
    assert max(sizes[1:]) == 1  # in smaller company


async def test_too_many_tokens_are_halved_until_they_fit(scene: Scene) -> None:
    await scene.settings(seconds=0.1, enqueued_tokens={OPENAI.model: 200})
    works = await scene.accept(16, prompt_tokens=50)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 16}
    seen = await scene.report()
    assert seen["batches"][0]["ending"] == "failed"
    assert scene.asked_live == []


async def test_what_a_batch_is_late_with_is_asked_live_and_its_row_is_told_of(scene: Scene) -> None:
    await scene.settings(seconds=2.0)
    together = Terms(flush_rows=5, flush_age_s=0.0)
    works = await scene.accept(4, deadline_at=time.time() + PACE.live_margin_s + 1.0, terms=together)
    in_time = await scene.accept(1, terms=together)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.RESCUED: 4}
        assert await scene.ended(in_time) == {WorkState.RESCUED: 4, WorkState.DONE: 1}
        await scene.closed()
    assert sorted(view.work.id for view, _ in scene.late) == sorted(asked.id for asked in works)
    assert all(result.provider_batch and result.status == 200 for _, result in scene.late)


async def test_telling_that_takes_longer_than_a_lease_is_done_once(scene: Scene) -> None:
    scene.telling_s = 0.3
    works = await scene.accept(10)
    async with scene.working(), scene.working():
        await scene.ended(works)
    assert sorted(view.work.id for view in scene.told) == sorted(asked.id for asked in works)


async def test_a_row_of_a_deleted_request_is_told_of(scene: Scene) -> None:
    await scene.settings(seconds=2.0)
    works = await scene.accept(2)
    async with scene.working():
        while not (await scene.report())["batches"]:
            await asyncio.sleep(0.02)
        assert await scene.lane.delete(works[0].id)
        await scene.ended(works[1:])
        await scene.closed()
    assert [(view.work, result.status) for view, result in scene.late] == [(works[0], 200)]
    assert await scene.lane.view(works[0].id, deleted=True) is None


async def test_a_batch_that_nobody_waits_for_any_more_is_cancelled(scene: Scene) -> None:
    await scene.settings(seconds=60.0, cancel_s=0.1)
    works = await scene.accept(3)
    async with scene.working():
        while not (await scene.report())["batches"]:
            await asyncio.sleep(0.02)
        for asked in works:
            await scene.lane.cancel(asked.id)
        assert await scene.ended(works) == {WorkState.CANCELLED: 3}
        await scene.closed()
    assert (await scene.report())["batches"][0]["ending"] == "cancelled"


async def test_a_request_without_an_account_waits_and_is_asked_live_in_time(scene: Scene) -> None:
    scene.account = None
    late = await scene.accept(2, deadline_at=time.time() + PACE.live_margin_s - 1)
    early = await scene.accept(1)
    async with scene.working():
        assert await scene.ended(late) == {WorkState.RESCUED: 2}
    view = await scene.lane.view(early[0].id)
    assert view is not None
    assert view.state is WorkState.QUEUED


async def test_a_near_deadline_is_kept_behind_a_long_queue_that_its_provider_does_not_take(scene: Scene) -> None:
    scene.account = None
    await scene.accept(20, terms=Terms(flush_rows=4, flush_age_s=0.0))
    late = await scene.accept(
        1, deadline_at=time.time() + PACE.live_margin_s - 1, accepted_at=time.time() + 1,
        terms=Terms(flush_rows=4, flush_age_s=0.0),
    )  # fmt: skip
    async with scene.lane.link.asking("test") as redis:  # put off until its deadline, as one over its budget is
        await redis.zadd(f"{PREFIX}q:{OPENAI.id}", {late[0].id[4:]: time.time()})
    async with scene.working():
        assert await scene.ended(late) == {WorkState.RESCUED: 1}


@pytest.mark.parametrize("account", [None, Account("main", "openai", "sk-a", base_url="http://127.0.0.1:1/v1")])
async def test_a_batch_that_nobody_can_ask_after_is_asked_live_in_time(scene: Scene, account: Account | None) -> None:
    await scene.settings(seconds=60.0)
    works = await scene.accept(2, deadline_at=time.time() + PACE.live_margin_s + 2.0)
    async with scene.working():
        async with asyncio.timeout(LIMIT_S):
            while not (await scene.lane.stats()).open_requests.get("submitted"):
                await asyncio.sleep(0.02)
        scene.account = account
        assert await scene.ended(works) == {WorkState.RESCUED: 2}


async def test_whose_key_is_no_good_is_not_sent(scene: Scene) -> None:
    good, wait, revoked = await scene.accept(3)
    scene.standings = {wait.id: "wait", revoked.id: "revoked"}
    scene.live_status = 401
    async with scene.working():
        assert await scene.ended([good, revoked]) == {WorkState.DONE: 1, WorkState.FAILED: 1}
    assert scene.asked_live == [revoked.id]
    view = await scene.lane.view(wait.id)
    assert view is not None
    assert view.state is WorkState.QUEUED


async def test_a_live_call_that_never_answers_ends_all_the_same(scene: Scene) -> None:
    scene.account, scene.live_status = None, 503
    works = await scene.accept(1, deadline_at=time.time() - 1)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.FAILED: 1}
    assert len(scene.asked_live) == 5


async def test_nothing_is_left_at_the_provider_and_gone_batches_are_still_shown(scene: Scene) -> None:
    works = await scene.accept(2)
    async with scene.working():
        await scene.ended(works)
        await scene.closed()
    async with httpx.AsyncClient(headers={"authorization": "Bearer sk-a"}) as client:
        assert (await client.get(f"{scene.url}/v1/files")).json()["data"] == []
    shown = await Batches(scene.lane).shown()
    assert [(batch.state, batch.rows, batch.left) for batch in shown] == [("gone", 2, 0)]


async def test_a_worker_lives_through_a_redis_that_goes_and_comes_back(scene: Scene, redis: Server) -> None:
    works = await scene.accept(5)
    async with scene.working():
        redis.kill()
        await asyncio.sleep(0.3)
        redis.start()
        await asyncio.sleep(1.2)  # until the lane looks again
        assert await scene.ended(works) == {WorkState.DONE: 5}
    assert [batch["rows"] for batch in (await scene.report())["batches"]] == [5]


async def test_a_redis_that_is_full_accepts_nothing_and_brings_home_what_it_has(scene: Scene, redis: Server) -> None:
    works = await scene.accept(5)
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreError):
                await scene.accept(1)
            async with scene.working():
                assert await scene.ended(works) == {WorkState.DONE: 5}
        finally:
            client.config_set("maxmemory", 0)


async def test_a_batch_that_is_larger_than_one_call_is_packed_whole(scene: Scene) -> None:
    works = await scene.accept(603)
    async with scene.working():
        assert await scene.ended(works) == {WorkState.DONE: 603}
    assert [batch["rows"] for batch in (await scene.report())["batches"]] == [603]
