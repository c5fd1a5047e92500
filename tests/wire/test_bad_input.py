"""Whatever comes in, the proxy answers it as it would without the plugin, and sends providers what it would send."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from fivelevers.embedded.stack import Stack
from tests.wire.odd_bodies import PATHS, Odd, every_odd_request
from tests.wire.proxy import ACME, Proxy, wait_for
from tests.wire.sameness import blanked, told

# LiteLLM waits between its retries; what it would say after them it says at once.
_HEADERS = {"authorization": f"Bearer {ACME}", "content-type": "application/json", "x-litellm-num-retries": "0"}


Answers = dict[str, httpx.Response]
Upstream = set[tuple[str, str, str]]


@dataclass(frozen=True)
class Side:
    """What one proxy did with all of it: an answer for each odd request, and the requests that providers saw."""

    answers: Answers
    upstream: Upstream


@dataclass(frozen=True)
class Sides:
    ours: Side
    bare: Side
    bypasses: float


@pytest.fixture(scope="module")
def sides(proxy: Proxy, bare: Stack) -> Sides:
    """Everything sent to both, once for all tests of this module."""
    proxy.no_faults()
    requests, before = every_odd_request(), proxy.metric("fivelevers_bypass_total")
    start = [simulator_time(stack) for stack in (proxy.stack, bare)]
    ours, theirs = Answers(), Answers()
    with ThreadPoolExecutor(2) as pool:
        # On a busy machine a pooled connection breaks now and then: what differs must differ each time.
        for _ in range(3):
            new = pool.map(partial(send_all, requests), (proxy.stack, bare))
            ours |= next(new)
            theirs |= next(new)
            requests = [odd for odd in requests if told(ours[odd.name]) != told(theirs[odd.name])]
    sides = (Side(ours, seen_since(start[0], proxy.stack)), Side(theirs, seen_since(start[1], bare)))
    return Sides(*sides, proxy.metric("fivelevers_bypass_total") - before)


def simulator_time(stack: Stack) -> float:
    return float(httpx.get(f"{stack.simulator_url}/sim/health").json()["now"])


def seen_since(start: float, stack: Stack) -> Upstream:
    rows = httpx.get(f"{stack.simulator_url}/sim/requests?last=2000", timeout=60).json()["requests"]
    return {(row["method"], row["path"], blanked(row["body"])) for row in rows if row["at"] >= start}


def send_all(requests: list[Odd], stack: Stack) -> Answers:
    with httpx.Client(base_url=stack.envoy_url, timeout=60) as client, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(partial(send, client), requests))
    return {odd.name: answer for odd, answer in zip(requests, answers, strict=True)}


def send(client: httpx.Client, odd: Odd) -> httpx.Response:
    headers = {**_HEADERS, **odd.headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items() if value]
    return client.request(odd.method, odd.path, content=odd.body, headers=raw)


@pytest.mark.parametrize("api", PATHS)
def test_the_answer_is_the_same_with_and_without_the_plugin(sides: Sides, api: str) -> None:
    names = [odd.name for odd in every_odd_request() if odd.api == api]
    assert len(names) > 75
    pairs = {name: (told(sides.ours.answers[name]), told(sides.bare.answers[name])) for name in names}
    different = {
        name: {part: (ours[part], bare.get(part)) for part in ours if ours[part] != bare.get(part)}
        for name, (ours, bare) in pairs.items()
        if ours != bare
    }
    assert different == {}


def test_providers_are_sent_the_same(sides: Sides) -> None:
    assert len(sides.bare.upstream) > 100
    assert sides.ours.upstream ^ sides.bare.upstream == set()


def test_no_hook_raised(sides: Sides) -> None:
    assert sides.bypasses == 0


def test_what_was_answered_is_metered_on_its_route(sides: Sides, proxy: Proxy) -> None:
    routes = {"chat": "support", "messages": "coding", "responses": "support", "embeddings": "tickets"}
    answered = {
        answer.headers["x-fivelevers-request"]: odd.api
        for odd in every_odd_request()
        if (answer := sides.ours.answers[odd.name]).status_code == 200 and odd.method == "POST"
    }
    assert len(answered) > 150
    found = wait_for(partial(_routes, proxy, set(answered)), lambda rows: len(rows) == len(answered))
    assert found == {request_id: routes[api] for request_id, api in answered.items()}


def _routes(proxy: Proxy, wanted: set[str]) -> dict[str, str]:
    rows = proxy.query("select request_id, route from attempt where success")
    return {row["request_id"]: row["route"] for row in rows if row["request_id"] in wanted}
