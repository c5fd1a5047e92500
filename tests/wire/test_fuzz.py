"""Random requests are answered alike with and without the plugin.

    FIVELEVERS_FUZZ=10000 python -m pytest tests/wire/test_fuzz.py

tries that many new ones; the suite tries a few, the same in every run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from fivelevers.embedded.stack import Stack
from tests.wire.proxy import ACME, Proxy
from tests.wire.random_bodies import ASKS, Ask
from tests.wire.sameness import events, told

MANY = int(os.environ.get("FIVELEVERS_FUZZ", "0"))
EXAMPLES = MANY or 100
_HEADERS = {"authorization": f"Bearer {ACME}", "content-type": "application/json", "x-litellm-num-retries": "0"}
# Beside the shape of a good answer: what the simulator decides from the request alone, and so does a real provider.
_SAME_VALUES = frozenset(
    {
        "finish_reason",
        "stop_reason",
        "status",
        "prompt_tokens",
        "input_tokens",
        "model",
        "role",
        "object",
        "type",
        "name",
    }
)


@dataclass
class Both:
    """The two proxies, and the statuses that were seen."""

    proxy: Proxy
    clients: tuple[httpx.Client, httpx.Client]
    pool: ThreadPoolExecutor
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ask(self, ask: Ask) -> tuple[httpx.Response, httpx.Response]:
        ours, bare = self.pool.map(lambda client: post(client, ask), self.clients)
        self.seen[ask.api, ours.status_code] += 1
        return ours, bare


@pytest.fixture(scope="module")
def both(proxy: Proxy, bare: Stack) -> Iterator[Both]:
    proxy.no_faults()
    with (
        httpx.Client(base_url=proxy.stack.envoy_url, timeout=60) as ours,
        httpx.Client(base_url=bare.envoy_url, timeout=60) as theirs,
        ThreadPoolExecutor(2) as pool,
    ):
        yield Both(proxy, (ours, theirs), pool)


def post(client: httpx.Client, ask: Ask) -> httpx.Response:
    return client.post(ask.path, content=ask.content, headers={**_HEADERS, **ask.headers})


def values(answer: httpx.Response) -> list[tuple[str, str]]:
    """The values in a good answer that must be equal too, without order."""
    if answer.status_code >= 400 or not answer.content:
        return []
    streamed = answer.headers.get("content-type", "").startswith("text/event-stream")
    return sorted(set(_named(list(events(answer)) if streamed else answer.json())))


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in _SAME_VALUES and not isinstance(each, dict | list):
                yield key, repr(each)
            else:
                yield from _named(each)


@settings(
    max_examples=EXAMPLES,
    derandomize=not MANY,
    database=None,
    deadline=None,  # two real proxies answer
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ask=ASKS)
def test_random_requests_are_answered_alike(both: Both, ask: Ask) -> None:
    ours, bare = both.ask(ask)
    assert (told(ours), values(ours)) == (told(bare), values(bare))


def test_it_met_good_and_bad_requests_of_every_api(both: Both) -> None:
    if not both.seen:
        pytest.skip("nothing was asked: the test above did not run")
    for api in ("chat", "messages", "responses", "embeddings"):
        statuses = {status: count for (of, status), count in both.seen.items() if of == api}
        assert statuses.get(200, 0) >= EXAMPLES // 50, (api, both.seen)
        assert sum(statuses.values()) > statuses.get(200, 0), (api, both.seen)
