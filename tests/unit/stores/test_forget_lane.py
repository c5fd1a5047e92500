"""A subject's requests of the lane go when it is forgotten, and nobody else's."""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fivelevers import metrics
from fivelevers.levers.batch.work import Endpoint, Group, Work
from fivelevers.stores.forget import Subject, SubjectKind, Traces
from fivelevers.stores.forget_lane import LaneForgetter
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches
from tests.redis_server import Server

GROUP = Group("openai", "api.openai.com/d1", Endpoint.CHAT, "gpt-4.1-mini")
WHERE = "redis (requests of the lane)"
UNREADABLE = "redis (requests of the lane that no key opens)"
ACME = {"key": "5c" * 32, "key_alias": "pipeline", "team": "acme"}
MALLORY = {"key": "9f" * 32, "team": "globex", "end_user": "mallory@example.org"}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


def bypassed(reason: str) -> float:
    labels = {"lever": "batch", "reason": reason}
    return metrics.registry.get_sample_value("fivelevers_bypass_total", labels) or 0.0


async def fill(url: str) -> list[str]:
    lane = Lane(url, {})
    ids = [await accepted(lane, caller) for caller in (ACME, ACME, MALLORY)]
    await lane.close()
    return ids


async def accepted(lane: Lane, caller: dict[str, Any]) -> str:
    now, name = time.time(), f"flr_{uuid.uuid4().hex}"
    work = Work(name, GROUP, "team:x", "tickets", b"{}", now, now + 14_400, 10, about={"caller": caller})
    return (await lane.accept(work, now=now)).id


async def told(url: str) -> list[str]:
    """Workers meter what was cancelled; then it goes, and these are left."""
    lane = Lane(url, {})
    await Batches(lane).told(await Batches(lane).due_told(10, lease_s=1))
    left = [view.work.id async for view in lane.every() if view is not None]
    await lane.close()
    return left


@pytest.mark.parametrize(
    ("subject", "count"),
    [
        (Subject.of_tenant("acme"), 2),
        (Subject.of_tenant("key:pipeline"), 2),
        (Subject.of_tenant("key:" + "5c" * 32), 2),
        (Subject(SubjectKind.END_USER, "mallory@example.org"), 1),
        (Subject(SubjectKind.END_USER, "mallory@example.org", "globex"), 1),
        (Subject(SubjectKind.END_USER, "mallory@example.org", "acme"), 0),
        (Subject.of_tenant("nobody"), 0),
    ],
)
def test_a_subjects_requests_go_and_others_stay(redis: Server, subject: Subject, count: int) -> None:
    redis.flush()
    ids = asyncio.run(fill(redis.url))
    forgetter, traces = LaneForgetter(redis.url), Traces(subject, frozenset())
    assert forgetter.find(traces) == forgetter.remove(traces) == {WHERE: count}
    assert forgetter.left(traces) == {WHERE: count}  # until it is metered
    gone = set(ids) - set(asyncio.run(told(redis.url)))
    assert forgetter.left(traces) == {WHERE: 0}
    assert len(gone) == count


async def seal(url: str) -> str:
    """Somebody's request, by a key that is not given later."""
    lane = Lane(url, {"FIVELEVERS_CONTENT_KEY": base64.b64encode(bytes(32)).decode()})
    name = await accepted(lane, ACME)
    await lane.close()
    return name


def test_what_no_key_opens_may_be_the_subjects(redis: Server) -> None:
    redis.flush()
    ids = asyncio.run(fill(redis.url))
    asyncio.run(seal(redis.url))
    forgetter, traces = LaneForgetter(redis.url), Traces(Subject.of_tenant("acme"), frozenset())
    assert forgetter.find(traces) == {WHERE: 2, UNREADABLE: 1}
    assert forgetter.remove(traces)[WHERE] == 2
    assert set(ids) - set(asyncio.run(told(redis.url))) == set(ids[:2])
    assert forgetter.left(traces) == {WHERE: 0, UNREADABLE: 1}


def test_one_that_no_key_opens_hides_no_other(redis: Server) -> None:
    async def listed() -> list[str]:
        lane = Lane(redis.url, {})
        found = [view.work.id for view in await lane.page("team:x")]
        await lane.close()
        return found

    redis.flush()
    ids = asyncio.run(fill(redis.url))
    before = bypassed("unreadable")
    asyncio.run(seal(redis.url))
    assert sorted(asyncio.run(listed())) == sorted(ids)
    assert bypassed("unreadable") - before == 1


def test_without_a_lane_there_is_nothing_to_search() -> None:
    assert LaneForgetter("").find(Traces(Subject.of_tenant("acme"), frozenset())) == {}
