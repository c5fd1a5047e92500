"""LiteLLM's ``cache`` field and HTTP's Cache-Control say the same things, and the stricter one holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.wish import CacheWish, wish_of

ODD: list[Any] = [None, 7, "yes", [], {"ttl": "soon"}, {"no-cache": "yes"}, {"s-maxage": True}, {"ttl": float("nan")}]


@pytest.mark.parametrize(
    ("field", "header", "wish"),
    [
        ({"no-cache": True}, None, CacheWish(read=False)),
        ({"no-store": True}, None, CacheWish(write=False)),
        ({"ttl": 60}, None, CacheWish(ttl_s=60)),
        ({"ttl": "60"}, None, CacheWish(ttl_s=60)),
        ({"ttl": 0}, None, CacheWish(write=False, ttl_s=0)),
        ({"s-maxage": 30}, None, CacheWish(max_age_s=30)),
        ({"s-max-age": 30}, None, CacheWish(max_age_s=30)),
        (None, "no-cache", CacheWish(read=False)),
        (None, "No-Store, max-age=0", CacheWish(read=False, write=False, max_age_s=0)),
        (None, 'max-age="90"', CacheWish(max_age_s=90)),
        (None, "private, max-stale", CacheWish()),
        ({"s-maxage": 30, "no-store": True}, "max-age=10", CacheWish(write=False, max_age_s=10)),
        ({"s-maxage": -5}, None, CacheWish(read=False, max_age_s=0)),
    ],
)
def test_what_each_says(field: Any, header: str | None, wish: CacheWish) -> None:
    assert wish_of(field, header) == wish


@pytest.mark.parametrize("field", ODD)
@pytest.mark.parametrize("header", [None, "", ",,=", "max-age", "max-age=soon", "max-age=inf", "no-cache-please"])
def test_what_is_malformed_asks_for_nothing(field: Any, header: str | None) -> None:
    assert wish_of(field, header) == CacheWish()


@given(st.dictionaries(st.sampled_from(["no-cache", "no-store", "ttl", "s-maxage"]), st.booleans() | st.floats()))
def test_a_header_makes_no_wish_weaker(field: dict[str, Any]) -> None:
    alone, both = wish_of(field, None), wish_of(field, "max-age=100, no-store")
    assert both.read == alone.read
    assert not both.write
    assert both.max_age_s == min(100, 100 if alone.max_age_s is None else alone.max_age_s)
