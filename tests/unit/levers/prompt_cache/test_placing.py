"""The set of marks is the best of all sets."""

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.placing import Offer, best_marks
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.levers.prompt_cache.worth import Terms, terms_of

_TERMS = terms_of(CachePrices(0.1, {300: 1.25, 3600: 2.0}), CacheRules(Style.MARKS))
assert _TERMS
TERMS: Terms = _TERMS


def value(offers: list[Offer], marks: dict[int, int]) -> float:
    """What a set is worth, written down from the rule: by entries in the order of the prompt."""
    total, tokens, long_tokens = 0.0, 0, 0
    for offer in offers:
        if offer.at in marks:
            ttl_s = marks[offer.at]
            total += (offer.tokens - tokens) * (offer.short - TERMS.premium(ttl_s))
            tokens = offer.tokens
            if ttl_s == TERMS.long:
                total += (offer.tokens - long_tokens) * offer.long
                long_tokens = offer.tokens
    return total


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1.2), st.floats(0, 2)), min_size=1, max_size=6))
def test_no_other_set_is_worth_more(rows: list[tuple[int, float, float]]) -> None:
    offers, tokens = [], 0
    for at, (size, short, long) in enumerate(rows):
        tokens += 100 * size
        offers.append(Offer(at, tokens, at, short, long))
    found = best_marks(offers, TERMS, 4, None)
    others = [
        value(offers, dict(zip(places, ttls, strict=True)))
        for count in range(min(4, len(offers)) + 1)
        for places in combinations(range(len(offers)), count)
        for ttls in product((3600, 300), repeat=count)
        if list(ttls) == sorted(ttls, reverse=True)
    ]
    assert value(offers, found) >= max(others) - 1e-6


def test_a_read_needs_no_mark_of_its_own_where_a_later_one_looks_back_to_it() -> None:
    offers = [Offer(0, 5000, 1, 1.0, 0.0, live_s=300), Offer(1, 6000, 5, 1.0, 0.0)]
    assert best_marks(offers, TERMS, 4, look_back=20) == {1: 300}
    assert best_marks(offers, TERMS, 4, look_back=4) == {0: 300, 1: 300}


def test_an_entry_that_is_read_is_renewed_where_nothing_is_written() -> None:
    offers = [Offer(0, 5000, 1, 1.0, 0.0, live_s=3600), Offer(1, 6000, 5, 0.0, 0.0)]
    assert best_marks(offers, TERMS, 4, look_back=20) == {0: 3600}


def test_marks_of_the_client_stay_and_ours_fit_around_them() -> None:
    offers = [Offer(0, 5000, 1, 1.1, 2.0), Offer(1, 6000, 5, 0.0, 0.0, mark_s=3600), Offer(2, 7000, 9, 1.1, 2.0)]
    assert best_marks(offers, TERMS, 4, None)[1] == 3600
    short_first = [Offer(0, 5000, 1, 0.0, 0.0, mark_s=300), Offer(1, 7000, 9, 1.1, 9.0)]
    assert best_marks(short_first, TERMS, 4, None) == {0: 300, 1: 300}
    assert best_marks(short_first, TERMS, 1, None) == {0: 300}
