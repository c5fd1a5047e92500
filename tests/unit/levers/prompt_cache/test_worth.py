"""Worth against premium is the break-even inequality, at any prices."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.reuse import EDGES_S
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.levers.prompt_cache.worth import Terms, terms_of, within, worth_long, worth_short

RULES = CacheRules(Style.MARKS)
CLAUDE = CachePrices(0.1, {300: 1.25, 3600: 2.0})
SHARES = st.floats(0.0, 1.0)


def curve(short: float, long: float) -> tuple[float, ...]:
    """Seen again within five minutes with probability ``short``, within the hour with ``long``."""
    return tuple(0.0 if edge < 300 else short if edge < 3600 else long for edge in EDGES_S)


def claude() -> Terms:
    terms = terms_of(CLAUDE, RULES)
    assert terms
    return terms


@given(SHARES, st.floats(0.0, 0.99), st.floats(0.01, 2.0))
def test_a_write_pays_from_the_break_even_on(p: float, read: float, premium: float) -> None:
    terms = terms_of(CachePrices(read, {300: 1.0 + premium}), RULES)
    assert terms
    break_even = premium / (1.0 + premium - read)
    assume(abs(p - break_even) > 1e-6)
    assert (worth_short(curve(p, p), terms) > premium) == (p > break_even)


@given(SHARES, SHARES)
def test_the_hour_pays_by_the_rule_of_one_long_lived_prefix(one: float, other: float) -> None:
    short, long = sorted((one, other))
    assume(abs(long - (0.395 + 0.605 * short)) > 0.01 and short > 0.22 and long < 0.999)
    place, nobody = curve(short, long), curve(0.0, 0.0)
    terms = claude()
    pays = worth_long((place, nobody), (place, nobody), terms) > terms.long_premium - terms.short_premium
    assert pays == (long > 0.395 + 0.605 * short)


@given(SHARES, SHARES, SHARES)
def test_worth_is_bounded_and_rises_with_reuse(a: float, b: float, c: float) -> None:
    low, mid, high = sorted((a, b, c))
    terms = claude()
    assert 0.0 <= worth_short(curve(low, high), terms) <= worth_short(curve(mid, high), terms) <= 1.15
    assert worth_long((curve(low, high), None), (curve(low, high), None), terms) <= 1.15
    shared = (curve(low, high), curve(low, mid))
    assert worth_long(shared, shared, terms) >= 0.0


def test_where_the_conversation_goes_on_the_hour_can_be_bought_later() -> None:
    place = curve(0.9, 0.99)
    assert worth_long((place, place), (place, place), claude()) == 0.0


@pytest.mark.parametrize(("ttl_s", "share"), [(300, 0.2), (1800, 0.2), (3600, 0.7), (86_400, 0.7), (30, 0.0)])
def test_a_ttl_is_judged_by_the_gaps_that_are_watched(ttl_s: int, share: float) -> None:
    assert within(curve(0.2, 0.7), ttl_s) == share


def test_a_ttl_without_a_price_is_not_offered() -> None:
    assert terms_of(CachePrices(0.1, {}), RULES) is None
    assert terms_of(CachePrices(1.0, {300: 1.25}), RULES) is None
    only = terms_of(CachePrices(0.1, {3600: 2.0}), RULES)
    assert only
    assert (only.short, only.long) == (3600, None)
