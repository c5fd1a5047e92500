from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.cost import PICODOLLAR, Unknown, cost, cost_parts, list_cost, rounded
from fivelevers.prices import Kind, Price, Tier, Usage

LIVE = {
    Kind.INPUT: Decimal("3e-6"),
    Kind.CACHE_READ: Decimal("3e-7"),
    Kind.CACHE_WRITE_5M: Decimal("3.75e-6"),
    Kind.CACHE_WRITE_1H: Decimal("6e-6"),
    Kind.OUTPUT: Decimal("15e-6"),
}
BATCH = {Kind.INPUT: Decimal("1.5e-6"), Kind.OUTPUT: Decimal("7.5e-6")}
LONG = {Kind.INPUT: Decimal("6e-6"), Kind.OUTPUT: Decimal("22.5e-6")}
PRICE = Price("sonnet", "the test", (Tier(0, LIVE, BATCH), Tier(200_001, LONG)))

counts = st.integers(0, 10**8)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
rates = st.decimals(min_value=0, max_value="0.01", places=15)
prices = st.builds(
    lambda values: Price("m", "drawn", (Tier(0, dict(zip(Kind, values, strict=True))),)),
    st.lists(rates, min_size=5, max_size=5),
)


def test_each_kind_at_its_own_rate() -> None:
    usage = Usage(input=1000, cache_read=10_000, cache_write_5m=2000, cache_write_1h=500, output=300)
    assert cost_parts(usage, PRICE) == {
        Kind.INPUT: Decimal("0.003"),
        Kind.CACHE_READ: Decimal("0.003"),
        Kind.CACHE_WRITE_5M: Decimal("0.0075"),
        Kind.CACHE_WRITE_1H: Decimal("0.003"),
        Kind.OUTPUT: Decimal("0.0045"),
    }
    assert cost(usage, PRICE) == Decimal("0.021")


def test_batch_rates() -> None:
    assert cost(Usage(input=1000, output=100), PRICE, batch=True) == Decimal("0.00225")


def test_cached_tokens_count_for_the_tier() -> None:
    usage = Usage(input=1, cache_read=200_000, output=10)
    assert cost(usage, PRICE) == Decimal("6e-6") + Decimal("0.06") + Decimal("0.000225")


def test_the_list_cost_knows_no_cache() -> None:
    assert list_cost(Usage(10, 20, 30, 40, 5), PRICE) == 100 * Decimal("3e-6") + 5 * Decimal("15e-6")


def test_a_missing_rate_makes_the_cost_unknown_and_is_named() -> None:
    told = cost(Usage(input=1, cache_write_5m=1, cache_write_1h=1), PRICE, batch=True)
    assert told == Unknown("sonnet", (Kind.CACHE_WRITE_5M, Kind.CACHE_WRITE_1H), "the test")
    assert str(told).startswith("sonnet: no rate for cache_write_5m, cache_write_1h (the test)")


def test_a_batch_without_a_rate_for_cache_reads_takes_them_as_plain_input() -> None:
    usage = Usage(input=100, cache_read=900)
    assert cost(usage, PRICE, batch=True) == cost(Usage(input=1000), PRICE, batch=True)


def test_a_missing_rate_matters_only_where_there_are_tokens() -> None:
    assert cost(Usage(input=2), PRICE, batch=True) == Decimal("3e-6")
    assert cost(Usage(), Price("nonesuch", "nobody")) == 0


@given(usages, prices)
def test_the_parts_add_up_and_are_whole_picodollars(usage: Usage, price: Price) -> None:
    parts, total = cost_parts(usage, price), cost(usage, price)
    assert isinstance(parts, dict)
    assert sum(parts.values()) == total
    assert all(part % PICODOLLAR == 0 for part in parts.values())


@given(usages, prices)
def test_rounding_moves_a_part_by_half_a_picodollar_at_most(usage: Usage, price: Price) -> None:
    parts = cost_parts(usage, price)
    assert isinstance(parts, dict)
    for kind, usd in parts.items():
        exact = getattr(usage, kind) * price.tiers[0].live[kind]
        assert abs(usd - exact) <= PICODOLLAR / 2


def test_rounding_is_half_to_even() -> None:
    assert [rounded(Decimal(n) * PICODOLLAR / 2) / PICODOLLAR for n in (1, 3, 5, -1)] == [0, 2, 2, 0]
