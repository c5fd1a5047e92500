"""`fivelevers batch` on a real Redis."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.levers.batch.lifecycle import BatchState
from fivelevers.levers.batch.work import Endpoint, Group, Result, Work
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches
from tests.redis_server import Server

GROUP = Group("openai", "api.openai.com/d1", Endpoint.CHAT, "gpt-4.1-mini")
SECRET = "Whose parcel is it?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("lane-cli"), "--appendonly", "yes")
    yield running
    running.close()


@pytest.fixture
def redis(server: Server) -> Server:
    server.flush()
    return server


def batch(redis: Server, *arguments: str) -> tuple[int, str]:
    env = {"COLUMNS": "80", "FIVELEVERS_LANE_REDIS_URL": redis.url}
    done = CliRunner().invoke(app, ["batch", *arguments], env=env)
    return done.exit_code, done.output


async def accepted(lane: Lane) -> str:
    now = time.time()
    work = Work(f"flr_{uuid.uuid4().hex}", GROUP, "team-acme", "tickets", SECRET.encode(), now, now + 14_400, 10)
    return (await lane.accept(work, now=now)).id


async def planned(lane: Lane) -> str:
    batches = Batches(lane)
    made = await batches.plan(GROUP, await batches.queued(GROUP, 100), lease_s=60)
    assert made is not None
    return made.id


def on(redis: Server, *steps: Any) -> list[str]:
    async def run() -> list[str]:
        lane = Lane(redis.url, {})
        found = [await step(lane) for step in steps]
        await lane.close()
        return found

    return asyncio.run(run())


def test_what_waits_and_what_is_in_batches_is_listed(redis: Server) -> None:
    _, _, made, _ = on(redis, accepted, accepted, planned, accepted)
    code, output = batch(redis, "list")
    assert (code, max(len(line) for line in output.splitlines()) <= 80) == (0, True)
    assert made in output
    document = json.loads(batch(redis, "list", "--json")[1])
    assert [(one["queued"], one["accepted"]) for one in document["groups"]] == [(1, 3)]
    assert [(one["batch"], one["state"], one["open"]) for one in document["batches"]] == [(made, "planned", 2)]


def test_one_is_shown_without_its_text(redis: Server) -> None:
    request, made = on(redis, accepted, planned)
    code, output = batch(redis, "show", request)
    assert (code, json.loads(output)["batch"], SECRET in output) == (0, made, False)
    assert json.loads(batch(redis, "show", made)[1])["requests"] == {request: "planned"}
    assert batch(redis, "show", "flr_" + "0" * 32)[0] == 1
    assert batch(redis, "show", "0" * 16)[0] == 1


def test_requests_and_all_of_a_batch_are_cancelled(redis: Server) -> None:
    first, second, made = on(redis, accepted, accepted, planned)
    assert batch(redis, "cancel", first) == (0, f"{first}: cancelled\n")
    assert f"{second}: cancelled\n" in batch(redis, "cancel", made)[1]
    assert batch(redis, "cancel", "flr_" + "0" * 32)[0] == 1


def test_draining_makes_all_due_and_says_whether_the_lane_is_empty(redis: Server) -> None:
    assert batch(redis, "drain") == (0, "0 wait, 0 in batches, 0 asked live, 0 not metered yet\n")
    (request,) = on(redis, accepted)
    assert batch(redis, "drain", "--within", "0") == (1, "1 wait, 0 in batches, 0 asked live, 0 not metered yet\n")
    assert json.loads(batch(redis, "list", "--json")[1])["groups"][0]["overdue_s"] >= 0

    async def ended(lane: Lane) -> str:
        batches = Batches(lane)
        held = await batches.read(await planned(lane))
        assert held is not None
        assert await batches.advance(held, BatchState.UPLOADING, in_s=0) is not None
        await lane.finish(Result(request, 200, b"{}", time.time(), provider_batch="batch_1"), batch=held.id)
        await batches.told(await batches.due_told(10, lease_s=1))
        return held.id

    on(redis, ended)
    assert batch(redis, "drain")[0] == 0


def test_without_a_redis_it_says_so(redis: Server) -> None:
    code, output = batch(redis, "list", "--redis", "redis://127.0.0.1:1/0")
    assert (code, "redis" in output) == (2, True)
    assert CliRunner().invoke(app, ["batch", "list"], env={"FIVELEVERS_LANE_REDIS_URL": ""}).exit_code == 2
