"""Where like prompts part is noticed as they pass, and reaches Redis without a word of theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fivelevers import metrics, policy
from fivelevers.engine import Plan, prepare
from fivelevers.levers.prompt_cache.difference import What
from fivelevers.levers.prompt_cache.tally import Parted, Place
from fivelevers.meter import Meter
from fivelevers.policy import Caller
from fivelevers.prefix_caching import Tokenizers
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.providers.cache_rules import TermBook
from fivelevers.proxies.litellm import prefix_watch
from fivelevers.proxies.litellm.prefix_watch import COMPARISONS_A_SECOND, PrefixWatch
from fivelevers.proxies.litellm.reading import Deployment
from fivelevers.request import Api, parse
from fivelevers.stores.difference_hash import DifferenceHash
from tests.redis_server import Server, soon

SECRET = "Mallory's bakery"
REST = f" You help the customers of {SECRET}." * 200
NOW = 1_764_000_000.0
DEPLOYMENT = Deployment("anthropic_messages", NOW, "claude-sonnet-4-5", "anthropic", None, "d1")
SHADOW = policy.parse("routes: [{name: bakery, match: {model: bakery}, levers: {prompt_cache: {mode: shadow}}}]")
OFF = policy.parse("routes: [{name: bakery, match: {model: bakery}}]")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
def watch(redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefixWatch]:
    monkeypatch.setattr(prefix_watch, "FLUSH_EVERY_S", 0.02)
    redis.flush()
    meter, prices = Meter(tmp_path, f"sqlite:///{tmp_path}/ledger.db"), PriceBook.from_litellm_map(find_litellm_map())
    made = PrefixWatch(redis.url, meter, prices, TermBook(prices), Tokenizers())
    yield made
    made.close()
    meter.close()


def asked(
    system: str, rules: policy.Policy = SHADOW, *, at: float = NOW, skip: str = ""
) -> tuple[Plan, dict[str, Any]]:
    body = {"model": "bakery", "system": system, "messages": [{"role": "user", "content": "Hi"}]}
    caller = Caller("/v1/messages", {"x-fivelevers-skip": skip}, "key-1")
    return prepare(parse(Api.MESSAGES, body), body, caller, rules, request_id="r", now=at), body


def at_minute(minute: int) -> str:
    return f"It is 12:{minute:02}.{REST}"


def found(redis: Server) -> dict[Place, Parted]:
    now, hash_ = time.time(), DifferenceHash(redis.url)
    try:
        return hash_.read(now - 86_400, now)
    finally:
        hash_.close()


def test_a_timestamp_is_told_with_what_it_costs_and_without_any_text(watch: PrefixWatch, redis: Server) -> None:
    for minute in (1, 2, 2, 3):
        watch.see(*asked(at_minute(minute), at=NOW + minute), DEPLOYMENT)
    assert soon(lambda: sum(parted.times for parted in found(redis).values()) == 2)
    ((place, parted),) = found(redis).items()
    assert (place.route, place.model, place.what, parted.offset) == ("bakery", "claude-sonnet-4-5", What.TIMESTAMP, 6)
    assert parted.tokens == 2 * ((len(at_minute(1)) - 10) // 4)
    assert parted.usd == parted.tokens * Decimal("2.7e-6")  # 3 dollars a million, without the tenth that a read costs
    with redis.client() as client:
        assert all(SECRET.encode() not in client.dump(key) for key in client.keys("*"))


def test_nothing_is_compared_where_the_lever_is_off_or_skipped(watch: PrefixWatch, redis: Server) -> None:
    for minute in (1, 2, 3):
        watch.see(*asked(at_minute(minute), OFF), DEPLOYMENT)
        watch.see(*asked(at_minute(minute), skip="prompt_cache"), DEPLOYMENT)
    assert not watch._meter._jobs


def test_a_prompt_below_the_minimum_can_not_be_cached_anyway(watch: PrefixWatch, redis: Server) -> None:
    for minute in (1, 2, 3):
        watch.see(*asked(at_minute(minute)[:3000], at=NOW + minute), DEPLOYMENT)
    assert soon(lambda: not watch._meter._jobs)
    assert found(redis) == {}


def test_those_that_are_compared_speak_for_those_passed_over(watch: PrefixWatch, redis: Server) -> None:
    many = 5 * COMPARISONS_A_SECOND
    for number in range(many):
        watch.see(*asked(f"It is {number}.{REST}"), DEPLOYMENT)
    assert len(watch._meter._jobs) <= COMPARISONS_A_SECOND
    watch.see(*asked(f"It is {many}.{REST}", at=NOW + 1), DEPLOYMENT)
    assert soon(lambda: sum(parted.times for parted in found(redis).values()) == many)


def test_what_redis_could_not_take_comes_with_the_next_turn(watch: PrefixWatch, redis: Server) -> None:
    counted = metrics.bypass.labels("prompt_cache", "differences")._value
    before = counted.get()
    redis.kill()
    for minute in (1, 2):
        watch.see(*asked(at_minute(minute), at=NOW + minute), DEPLOYMENT)
    assert soon(lambda: counted.get() > before)
    redis.start()
    assert soon(lambda: sum(parted.times for parted in found(redis).values()) == 1)
