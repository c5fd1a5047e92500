"""What a batch is expected to cost against the live call that lever 1 believes in."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.batch.prediction import predict
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.prices import Kind, Price, Tier

LIVE = {Kind.INPUT: Decimal("3e-6"), Kind.CACHE_READ: Decimal("3e-7"), Kind.CACHE_WRITE_5M: Decimal("3.75e-6"),
        Kind.CACHE_WRITE_1H: Decimal("6e-6"), Kind.OUTPUT: Decimal("15e-6")}  # fmt: skip
SONNET = Price(
    "claude-sonnet-4-5",
    "map",
    (Tier(0, LIVE, {Kind.INPUT: Decimal("1.5e-6"), Kind.OUTPUT: Decimal("7.5e-6")}),),
)
counts = st.integers(0, 100_000)


def test_a_cold_request_costs_half_in_a_batch() -> None:
    told = predict(7000, 300, SONNET)
    assert told.live_usd == pytest.approx(0.0255)
    assert told.batch_usd == pytest.approx(0.01275)


def test_a_warm_prefix_is_cheaper_live() -> None:
    told = predict(7100, 20, SONNET, Use(read=7000, fresh=100))
    assert told.batch_usd is not None
    assert told.live_usd is not None
    assert told.batch_usd > told.live_usd


@given(counts, counts, counts, counts)
def test_the_parts_are_priced_by_kind(read: int, short: int, long: int, fresh: int) -> None:
    use = Use(read, {300: short, 3600: long}, fresh)
    told = predict(read + short + long + fresh, 0, SONNET, use)
    assert told.live_usd == pytest.approx(read * 3e-7 + short * 3.75e-6 + long * 6e-6 + fresh * 3e-6)


def test_without_a_batch_price_nothing_is_said_of_a_batch() -> None:
    told = predict(10, 10, Price("m", "map", (Tier(0, LIVE),)))
    assert told.batch_usd is None
    assert told.live_usd is not None


def test_a_read_without_a_price_is_plain() -> None:
    price = Price("m", "map", (Tier(0, {Kind.INPUT: Decimal(1), Kind.OUTPUT: Decimal(1)}),))
    assert predict(5, 1, price, Use(read=4, fresh=1)).live_usd == 6
