"""Where prompts part, in a real Redis: every replica adds, old days go, and it stays small."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.difference import Section, What
from fivelevers.levers.prompt_cache.tally import Parted, Place
from fivelevers.stores import difference_hash
from fivelevers.stores.difference_hash import DAYS, KEY, DifferenceHash
from tests.redis_server import Server

DAY_S = 86_400.0
NOW = 20_000 * DAY_S + 5
PLACE = Place("support", 'claude: "sonnet"', Section.SYSTEM, 0, What.TIMESTAMP)
FORCED = Place("support", "gpt-5.6", Section.PARAMETER, 0, What.PARAMETER, "tool_choice")
ONCE = Parted(1, 500, Decimal("0.001350000001"), 118)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


@pytest.fixture
def pair(redis: Server) -> Iterator[tuple[DifferenceHash, DifferenceHash]]:
    redis.flush()
    both = DifferenceHash(redis.url), DifferenceHash(redis.url)
    yield both
    for one in both:
        one.close()


Pair = tuple[DifferenceHash, DifferenceHash]


def test_replicas_add_up_exactly(pair: Pair) -> None:
    pair[0].add({PLACE: ONCE, FORCED: ONCE}, NOW)
    pair[1].add({PLACE: Parted(2, 30, Decimal("0.5"), 120)}, NOW)
    assert pair[0].read(NOW, NOW) == {PLACE: Parted(3, 530, Decimal("0.501350000001"), 120), FORCED: ONCE}


def test_days_are_summed_from_the_first_one_asked_for(pair: Pair) -> None:
    for back in range(4):
        pair[0].add({PLACE: ONCE}, NOW - back * DAY_S)
    assert pair[0].read(NOW - 2 * DAY_S, NOW)[PLACE].times == 3
    assert pair[0].read(NOW + DAY_S, NOW + DAY_S) == {}


def test_a_day_goes_by_itself_and_holds_no_more_than_its_places(
    pair: Pair, redis: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(difference_hash, "PLACES_A_DAY", 2)
    pair[0].add({PLACE: ONCE, FORCED: ONCE}, NOW)
    pair[0].add({Place("other", "m", Section.SYSTEM, 0, What.TEXT): ONCE, PLACE: ONCE}, NOW)
    found = pair[0].read(NOW, NOW)
    assert {place: parted.times for place, parted in found.items()} == {PLACE: 2, FORCED: 1}
    with redis.client() as client:
        assert 0 < client.ttl(f"{KEY}20000") <= DAYS * DAY_S


def test_a_damaged_field_hides_no_other(pair: Pair, redis: Server) -> None:
    pair[0].add({PLACE: ONCE}, NOW)
    with redis.client() as client:
        client.hset(f"{KEY}20000", mapping={"[1]:times": 1, "x": "y", '["a","b","c",0,"d",""]:times': 1})
    assert pair[0].read(NOW, NOW) == {PLACE: ONCE}


def test_a_redis_that_is_away_is_said_and_not_waited_for(pair: Pair, redis: Server) -> None:
    gone = DifferenceHash("redis://127.0.0.1:1/0")
    for call in (lambda: gone.add({PLACE: ONCE}, NOW), lambda: gone.read(NOW, NOW)):
        with pytest.raises(StoreError, match="redis: differences can not be"):
            call()
    with pytest.raises(StoreError, match="write redis://host:port/0"):
        DifferenceHash("nonsense")
