"""The lane in a process of its own, before a proxy that is a real server: what it holds, and what it hands on."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from fivelevers.embedded.ports import HOST, Port
from fivelevers.lane import holding
from fivelevers.lane.app import LaneApp
from fivelevers.lane.asgi import App, Receive, Scope, Send, json_answer, whole_body
from fivelevers.lane.standalone import HEALTH, Front
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.stores.lane import Lane
from tests.redis_server import Server
from tests.unit.lane.host import ParkingHost
from tests.unit.lane.test_app import ACME, ANSWER, ASYNC, BODY, CHAT, GLOBEX, finished, only


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("standalone"), "--appendonly", "yes")
    yield running
    running.close()


@pytest.fixture
async def lane(server: Server) -> AsyncIterator[Lane]:
    server.flush()
    opened = Lane(server.url, {})
    yield opened
    await opened.close()


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    port = Port(0)
    config = uvicorn.Config(app, host=HOST, port=port.number, lifespan="off", log_level="warning", ws="none")
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    yield f"http://{HOST}:{port.number}"
    running.should_exit = True
    await task
    port.release()


class Proxy:
    """The lane's application under its paths; elsewhere a live call."""

    def __init__(self, lane: Lane, host: ParkingHost) -> None:
        self.lane = LaneApp(lane, host)
        self.live: list[str] = []
        self.asked = 0  # of the lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/fivelevers/"):
            self.asked += 1
            await self.lane(scope, receive, send)
            return
        self.live.append((await whole_body(receive)).decode())
        await json_answer(200, {"id": "live"}, {"x-fivelevers-model": "gpt"}).send(send)


@asynccontextmanager
async def front(lane: Lane, host: ParkingHost) -> AsyncIterator[tuple[httpx.AsyncClient, Proxy]]:
    proxy = Proxy(lane, host)
    async with served(proxy) as proxy_url:
        calls = ProxyCalls(proxy_url)
        async with served(Front(lane, calls)) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client, proxy
        await calls.close()


async def test_a_caller_that_holds_on_gets_its_answer_from_here(lane: Lane) -> None:
    async with front(lane, ParkingHost()) as (client, proxy):
        asking = asyncio.create_task(client.post(CHAT, json=BODY, headers=ACME))
        await finished(lane, await only(lane))
        answer = await asking
        assert (answer.status_code, answer.content, answer.headers["x-fivelevers-lane"]) == (200, ANSWER, "batch")
        assert answer.headers["x-fivelevers-route"] == "t"
        assert proxy.live == []


async def test_what_is_not_held_is_handed_on(lane: Lane) -> None:
    host = ParkingHost()
    async with front(lane, host) as (client, _):
        stream = await client.post(CHAT, json={**BODY, "stream": True}, headers=ACME)
        assert (stream.json()["id"], stream.headers["x-fivelevers-lane"]) == ("live", "live; why=stream")
        later = await client.post(CHAT, json=BODY, headers=ASYNC)
        assert (later.status_code, later.headers["preference-applied"]) == (202, "respond-async")
        place = later.headers["location"]
        assert [(await client.get(place, headers=who)).status_code for who in (ACME, GLOBEX)] == [200, 404]
        listed = await client.get("/fivelevers/v1/requests?limit=1", headers=ACME)
        assert [one["id"] for one in listed.json()["data"]] == [later.json()["id"]]
        assert (await client.get(HEALTH)).status_code == 200


async def test_who_can_not_wait_any_longer_is_asked_live_through_the_proxy(lane: Lane) -> None:
    async with front(lane, ParkingHost(patience_s=holding.LIVE_MARGIN_S + 0.2)) as (client, proxy):
        answer = await client.post(CHAT, json=BODY, headers=ACME)
        assert (answer.json()["id"], answer.headers["x-fivelevers-lane"]) == ("live", "live; why=patience")
        assert answer.headers["x-fivelevers-model"] == "gpt"
        assert [json.loads(body) for body in proxy.live] == [BODY]
        assert (await lane.page("acme"))[0].state.value == "rescued"


async def test_a_caller_that_leaves_finds_its_request_again(lane: Lane) -> None:
    async with front(lane, ParkingHost()) as (client, _):
        with pytest.raises(httpx.ReadTimeout):
            await client.post(CHAT, json=BODY, headers=ACME, timeout=0.5)
        work_id = await only(lane)
        again = asyncio.create_task(client.post(CHAT, json=BODY, headers={**ACME, "x-stainless-retry-count": "1"}))
        await asyncio.sleep(0.2)
        await finished(lane, work_id)
        assert (await again).content == ANSWER
        assert len(await lane.page("acme")) == 1


async def test_what_can_not_be_read_here_is_held_by_the_proxy(server: Server) -> None:
    server.flush()
    sealed = Lane(server.url, {"FIVELEVERS_CONTENT_KEY": b64encode(bytes(32)).decode()})
    proxy = Proxy(sealed, ParkingHost())
    async with served(proxy) as proxy_url:
        calls, keyless = ProxyCalls(proxy_url), Lane(server.url, {})
        async with served(Front(keyless, calls)) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
            asking = asyncio.create_task(client.post(CHAT, json=BODY, headers=ACME))
            work_id = await only(sealed)
            while proxy.asked < 2:  # what ends before it is asked for again is asked anew
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            await finished(sealed, work_id)
            assert (await asking).content == ANSWER
            assert len(await sealed.page("acme")) == 1
        for each in (calls, keyless, sealed):
            await each.close()


async def test_without_a_proxy_it_says_so_in_the_apis_own_shape(lane: Lane) -> None:
    calls = ProxyCalls(f"http://{HOST}:1")
    async with served(Front(lane, calls)) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(CHAT, json=BODY, headers=ACME)
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")
    assert int(answer.headers["retry-after"]) > 0
    await calls.close()
