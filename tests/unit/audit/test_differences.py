"""Where the prompts of a log part, and what that cost."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.differences import Differences
from fivelevers.levers.prompt_cache.difference import What
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.providers.cache_rules import TermBook
from tests.unit.audit.logged import SONNET, call
from tests.unit.audit.test_prompt_cache import INPUT, SYSTEM, body


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return PriceBook.from_litellm_map(find_litellm_map())


def seen(prices: PriceBook, calls: Iterable[LoggedCall]) -> Differences:
    told = Differences(prices, TermBook(prices))
    for one in calls:
        told.see(one, "bakery")
    return told


def test_a_timestamp_in_front_is_named_with_what_it_costs(prices: PriceBook) -> None:
    calls = [call(n * 30.0, body=body("Hi", f"It is 12:{n:02}. {SYSTEM}"), input=2705) for n in range(20)]
    told = seen(prices, calls)
    ((place, parted),) = told.tally.sums().items()
    assert (place.what, place.segment, parted.offset, parted.times) == (What.TIMESTAMP, 0, 6, 19)
    assert 19 * 2600 < parted.tokens < 19 * 2705
    assert parted.usd == parted.tokens * INPUT * Decimal("0.9")
    assert SONNET not in told.examples[place]
    assert "It is 12:" in told.examples[place]


def test_a_time_at_the_end_costs_nothing(prices: PriceBook) -> None:
    calls = [call(n * 30.0, body=body("Hi", f"{SYSTEM} It is 12:{n:02}"), input=2705) for n in range(20)]
    assert all(parted.tokens < 30 for parted in seen(prices, calls).tally.sums().values())
