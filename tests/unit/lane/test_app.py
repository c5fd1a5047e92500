"""The lane's contract with its callers, over HTTP, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import openai
import orjson
import pytest

from fivelevers.lane import holding, requests
from fivelevers.lane.app import LaneApp
from fivelevers.lane.call import Owner
from fivelevers.levers.batch.lifecycle import Pace
from fivelevers.levers.batch.work import Result, WorkState
from fivelevers.stores.lane import Lane
from tests.redis_server import Server
from tests.unit.lane.host import ParkingHost
from tests.unit.stores.lane_works import work

CHAT = "/fivelevers/lane/v1/chat/completions"
BODY: dict[str, Any] = {"model": "tickets-nightly", "messages": [{"role": "user", "content": "Sort it."}]}
ACME, GLOBEX = {"authorization": "Bearer acme"}, {"authorization": "Bearer globex"}
ANSWER = b'{"id":"chatcmpl-1","object":"chat.completion","choices":[]}'
ASYNC = {**ACME, "prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lane-app")
    running = Server(folder, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
    yield running
    running.close()


@pytest.fixture
async def lane(server: Server) -> AsyncIterator[Lane]:
    server.flush()
    opened = Lane(server.url, {})
    yield opened
    await opened.close()


@pytest.fixture
def host() -> ParkingHost:
    return ParkingHost()


@pytest.fixture
async def client(lane: Lane, host: ParkingHost) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(LaneApp(lane, host))
    async with httpx.AsyncClient(transport=transport, base_url="http://lane", timeout=30) as opened:
        yield opened


async def finished(lane: Lane, work_id: str, *, status: int = 200, body: bytes = ANSWER) -> None:
    assert await lane.finish(Result(work_id, status, body, time.time(), provider_batch="batch_1")) == "done"


async def finished_soon(lane: Lane, work_id: str) -> None:
    """As soon as it is accepted."""
    while await lane.view(work_id) is None:
        await asyncio.sleep(0.01)
    await finished(lane, work_id)


async def accepted(client: httpx.AsyncClient, headers: dict[str, str] = ASYNC, body: Any = BODY) -> str:
    reply = await client.post(CHAT, json=body, headers=headers)
    assert reply.status_code == 202
    found: str = reply.json()["id"]
    return found


async def only(lane: Lane, tenant: str = "acme") -> str:
    while not (views := await lane.page(tenant)):
        await asyncio.sleep(0.01)
    assert len(views) == 1
    return views[0].work.id


async def test_who_asks_for_it_gets_a_202_and_comes_back(client: httpx.AsyncClient, lane: Lane) -> None:
    reply = await client.post(CHAT, json=BODY, headers=ASYNC)
    place = reply.headers["location"]
    assert (reply.status_code, reply.headers["preference-applied"]) == (202, "respond-async")
    assert (reply.headers["x-fivelevers-lane"], reply.headers["x-fivelevers-route"]) == ("batch", "t")
    assert int(reply.headers["retry-after"]) > 0
    state = await client.get(place, headers=ACME)
    assert (state.json()["status"], state.json()["model"]) == ("queued", "tickets-nightly")
    early = await client.get(f"{place}/result", headers=ACME)
    assert (early.status_code, early.json()["status"]) == (202, "queued")
    await finished(lane, reply.json()["id"])
    late = await client.get(f"{place}/result", headers=ACME)
    assert (late.status_code, late.content, late.headers["x-fivelevers-lane"]) == (200, ANSWER, "batch")
    assert (await client.get(place, headers=ACME)).json()["result_url"] == f"{place}/result"


async def test_a_caller_that_holds_its_connection_gets_a_plain_answer(
    client: httpx.AsyncClient, lane: Lane, host: ParkingHost
) -> None:
    asking = asyncio.create_task(client.post(CHAT, json=BODY, headers=ACME))
    await finished(lane, await only(lane))
    reply = await asking
    assert (reply.status_code, reply.content, reply.headers["x-fivelevers-lane"]) == (200, ANSWER, "batch")
    assert not host.asked_live


async def test_a_refused_row_is_the_callers_answer(client: httpx.AsyncClient, lane: Lane) -> None:
    asking = asyncio.create_task(client.post(CHAT, json=BODY, headers=ACME))
    await finished(lane, await only(lane), status=400, body=b'{"error":{"message":"no"}}')
    assert ((await asking).status_code, (await asking).json()) == (400, {"error": {"message": "no"}})


async def test_whoever_prefers_to_wait_a_while_is_held_for_it(
    client: httpx.AsyncClient, lane: Lane, host: ParkingHost
) -> None:
    headers = {**ACME, "prefer": "respond-async, wait=1"}
    started = time.monotonic()
    reply = await client.post(CHAT, json=BODY, headers=headers)
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "respond-async, wait=1"
    assert time.monotonic() - started >= 1
    asking = asyncio.create_task(
        client.post(CHAT, json={**BODY, "n": 2}, headers={**ACME, "prefer": "respond-async, wait=20"})
    )
    while len(host.offered) < 2:
        await asyncio.sleep(0.01)
    await finished_soon(lane, host.offered[1])
    assert ((await asking).status_code, (await asking).content) == (200, ANSWER)


async def test_when_patience_ends_it_is_taken_out_and_asked_live_once(lane: Lane) -> None:
    host = ParkingHost(patience_s=holding.LIVE_MARGIN_S + 0.2)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(LaneApp(lane, host)), base_url="http://lane") as client:
        reply = await client.post(CHAT, json=BODY, headers=ACME)
    work_id = await only(lane)
    assert (reply.status_code, reply.json()["id"]) == (200, "live")
    assert host.asked_live == [("/v1/chat/completions", "patience", work_id)]
    assert host.bodies == [BODY]
    view = await lane.view(work_id)
    assert view is not None
    assert view.result is not None
    assert (view.state, view.result.live) == (WorkState.RESCUED, True)


def test_a_caller_is_asked_live_before_a_worker_would_do_it() -> None:
    assert Pace().live_margin_s + 5 < holding.LIVE_MARGIN_S  # clocks differ


async def test_a_caller_that_leaves_finds_its_request_where_it_is(lane: Lane, host: ParkingHost) -> None:
    app = LaneApp(lane, host)
    transport = httpx.ASGITransport(app)
    leaving = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b'{"model":"m"}', "more_body": False}
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asked: list[bool] = []
    sent: list[Any] = []
    headers = [(b"authorization", b"Bearer acme")]
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers, "query_string": b""}
    serving = asyncio.create_task(app(scope, receive, send))
    work_id = await only(lane)
    leaving.set()
    await serving
    assert (sent, host.asked_live) == ([], [])
    retry = {**ACME, "x-stainless-retry-count": "1"}
    async with httpx.AsyncClient(transport=transport, base_url="http://lane", timeout=30) as client:
        again = asyncio.create_task(client.post(CHAT, content=b'{"model":"m"}', headers=retry))
        await asyncio.sleep(0.1)
        assert await only(lane) == work_id
        await finished(lane, work_id)
        assert (await again).content == ANSWER


async def test_one_idempotency_key_is_one_request(client: httpx.AsyncClient, lane: Lane) -> None:
    keyed = {**ASYNC, "idempotency-key": '"job-7"'}
    first = await accepted(client, keyed)
    assert await accepted(client, keyed) == first
    other = await client.post(CHAT, json={**BODY, "n": 2}, headers=keyed)
    assert (other.status_code, "job-7" in other.text) == (422, False)
    assert other.json()["error"]["type"] == "invalid_request_error"
    assert await accepted(client, {**keyed, **GLOBEX}) != first
    await finished(lane, first)
    ended = await client.post(CHAT, json=BODY, headers=keyed)
    assert (ended.status_code, ended.content) == (200, ANSWER)


async def test_the_same_asked_twice_is_two_requests_unless_an_sdk_retries(client: httpx.AsyncClient) -> None:
    first = await accepted(client)
    second = await accepted(client)
    assert first != second
    assert await accepted(client, {**ASYNC, "x-stainless-retry-count": "1"}) == second


async def test_a_tenant_sees_its_own_alone(client: httpx.AsyncClient) -> None:
    work_id = await accepted(client)
    place = f"/fivelevers/v1/requests/{work_id}"
    for method, path in (("GET", place), ("GET", f"{place}/result"), ("POST", f"{place}/cancel"), ("DELETE", place)):
        reply = await client.request(method, path, headers=GLOBEX)
        assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert (await client.get(f"/v1/responses/resp_{work_id}", headers=GLOBEX)).status_code == 404
    assert (await client.get("/fivelevers/v1/requests", headers=GLOBEX)).json()["data"] == []
    nobody = await client.get(place)
    assert (nobody.status_code, nobody.json()["title"]) == (401, "Not authenticated")


async def test_requests_are_listed_cancelled_and_deleted(client: httpx.AsyncClient) -> None:
    ids = [await accepted(client, body={**BODY, "n": n}) for n in (1, 2, 3)]
    first = (await client.get("/fivelevers/v1/requests?limit=2", headers=ACME)).json()
    assert ([item["id"] for item in first["data"]], first["has_more"]) == (ids[:0:-1], True)
    rest = (await client.get(f"/fivelevers/v1/requests?after={first['last_id']}", headers=ACME)).json()
    assert ([item["id"] for item in rest["data"]], rest["has_more"]) == (ids[:1], False)
    place = f"/fivelevers/v1/requests/{ids[0]}"
    assert (await client.post(f"{place}/cancel", headers=ACME)).json()["status"] == "cancelled"
    gone = await client.get(f"{place}/result", headers=ACME)
    assert (gone.status_code, gone.json()["title"]) == (410, "No answer")
    assert (await client.delete(place, headers=ACME)).json() == {"id": ids[0], "deleted": True}
    assert (await client.get(place, headers=ACME)).status_code == 404
    assert (await client.put(place, headers=ACME)).status_code == 404
    assert (await client.put(f"/fivelevers/v1/requests/{ids[1]}", headers=ACME)).status_code == 405
    for limit in ("0", "101", "x"):
        assert (await client.get(f"/fivelevers/v1/requests?limit={limit}", headers=ACME)).status_code == 422


async def test_a_key_pages_through_its_own_requests_and_its_teams(lane: Lane) -> None:
    now = time.time()
    for n in range(6):
        tenant = ("key:k", "team:t")[n % 2]
        await lane.accept(work(tenant=tenant, accepted_at=now - n), now=now)
    await lane.accept(work(tenant="team:other", accepted_at=now), now=now)
    owner, shown, after = Owner(frozenset({"key:k", "team:t"})), [], ""
    for _ in range(3):
        query = f"limit=2{after}".encode()
        scope = {"method": "GET", "path": requests.PREFIX, "query_string": query}
        page = orjson.loads((await requests.answer(lane, owner, scope)).content)
        shown += [int(now) - request["accepted_at"] for request in page["data"]]
        after = f"&after={page['last_id']}"
    assert (shown, page["has_more"]) == ([0, 1, 2, 3, 4, 5], False)


async def test_responses_in_the_background_by_the_unmodified_sdk(lane: Lane, host: ParkingHost) -> None:
    transport = httpx.ASGITransport(LaneApp(lane, host))
    sdk = openai.AsyncOpenAI(
        base_url="http://lane/fivelevers/lane/v1", api_key="acme", http_client=httpx.AsyncClient(transport=transport)
    )
    polling = sdk.with_options(base_url="http://lane/v1")  # Envoy does this by the path
    begun = await sdk.responses.create(model="tickets-nightly", input="Sort it.", background=True)
    assert (begun.status, begun.model, begun.background) == ("queued", "tickets-nightly", True)
    assert (await polling.responses.retrieve(begun.id)).status == "queued"
    text = {"type": "output_text", "text": "refund", "annotations": []}
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    answered = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": [item]}
    body = json.dumps(answered).encode()
    await finished(lane, begun.id.removeprefix("resp_"), body=body)
    done = await polling.responses.retrieve(begun.id)
    assert (done.id, done.status, done.output_text) == (begun.id, "completed", "refund")
    other = await sdk.responses.create(model="tickets-nightly", input="And this.", background=True)
    assert (await polling.responses.cancel(other.id)).status == "cancelled"
    await polling.responses.delete(other.id)
    with pytest.raises(openai.NotFoundError):
        await polling.responses.retrieve(other.id)
    failing = await sdk.responses.create(model="tickets-nightly", input="Too long.", background=True)
    refused = b'{"error":{"code":"context_length_exceeded","message":"too long"}}'
    await finished(lane, failing.id.removeprefix("resp_"), status=400, body=refused)
    failed = await polling.responses.retrieve(failing.id)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == ("failed", "context_length_exceeded")
    await sdk.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_other_paths_and_streams_go_live_as_they_came(
    client: httpx.AsyncClient, host: ParkingHost, method: str
) -> None:
    reply = await client.request(method, "/fivelevers/lane/v1/files", headers=ACME, content=b"[1]")
    assert (reply.json()["id"], reply.headers["x-fivelevers-lane"]) == ("live", "live; why=endpoint")
    await client.post(CHAT, json={**BODY, "stream": True}, headers=ASYNC)
    assert host.asked_live == [("/v1/files", "endpoint", None), ("/v1/chat/completions", "stream", None)]


async def test_a_redis_that_is_gone_sends_everything_live_once(tmp_path: Any) -> None:
    server, host = Server(tmp_path), ParkingHost()
    lane = Lane(server.url, {})
    server.close()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(LaneApp(lane, host)), base_url="http://lane") as client:
        for headers in (ASYNC, ACME, {**ASYNC, "idempotency-key": "k"}):
            reply = await client.post(CHAT, json=BODY, headers=headers)
            assert (reply.status_code, reply.headers["x-fivelevers-lane"]) == (200, "live; why=redis")
        assert len(host.asked_live) == 3
        place = f"/fivelevers/v1/requests/flr_{'0' * 32}"
        assert (await client.get(place, headers=ACME)).status_code == 503
    await lane.close()


async def test_without_a_redis_of_its_own_every_call_goes_live() -> None:
    host = ParkingHost()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(LaneApp(None, host)), base_url="http://lane") as client:
        reply = await client.post(CHAT, json=BODY, headers=ASYNC)
        assert reply.headers["x-fivelevers-lane"] == "live; why=no-lane"
        assert (await client.get("/fivelevers/v1/requests", headers=ACME)).status_code == 503
