"""Numbers, times and usage as logs write them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.audit import fields
from fivelevers.audit.calls import LeftOutError
from fivelevers.prices import Usage


@pytest.mark.parametrize(
    "value",
    [1_763_000_000.5, 1_763_000_000_500, "1763000000.5", 1_763_000_000_500_000_000, "2025-11-13T02:13:20.5Z",
     "2025-11-13T03:13:20.5+01:00", "2025-11-13 02:13:20.500000"],
)  # fmt: skip
def test_times_of_every_unit(value: object) -> None:
    assert fields.moment({"t": value}, "t") == pytest.approx(1_763_000_000.5)


@pytest.mark.parametrize("value", [None, "", "yesterday", True, 12, {"a": 1}, float("nan"), 10**400, "9" * 400])
def test_what_is_no_time(value: object) -> None:
    assert fields.moment({"t": value}, "t") is None


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 5}, Usage(100, 0, 0, 0, 5)),
        ({"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}}, Usage(40, 60)),
        ({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 60}}, Usage(40, 60)),
        ({"input_tokens": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30}, Usage(10, 60, 30)),
        (
            {"input_tokens": 10, "cache_creation_input_tokens": 30, "output_tokens": 1,
             "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}},
            Usage(10, 0, 10, 20, 1),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 1, "cache_creation_input_tokens": 30,
             "cache_read_input_tokens": 60, "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 30,
                                       "cache_creation_token_details": {"ephemeral_1h_input_tokens": 30}}},
            Usage(10, 60, 0, 30, 1),
        ),
        ({"prompt_tokens": "100", "prompt_cache_hit_tokens": "60.0"}, Usage(40, 60)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({}, None),
    ],
    ids=["chat", "chat read", "responses", "anthropic", "anthropic by TTL", "LiteLLM", "text", "zeros", "nothing"],
)  # fmt: skip
def test_usage_of_every_provider(counted: dict[str, Any], usage: Usage | None) -> None:
    assert fields.usage(counted) == usage


@pytest.mark.parametrize(
    "counted",
    [{"prompt_tokens": -1}, {"prompt_tokens": 1.5}, {"prompt_tokens": "many"}, {"prompt_tokens": True},
     {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}, {"prompt_tokens": float("nan")}],
)  # fmt: skip
def test_counts_that_can_not_be(counted: dict[str, Any]) -> None:
    with pytest.raises(LeftOutError):
        fields.usage(counted)


def test_dollars() -> None:
    assert fields.usd({"spend": 0.1}, "spend") == Decimal("0.1")
    for value in (None, "", "free", -1, float("nan"), float("inf"), True):
        assert fields.usd({"spend": value}, "spend") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("prompt_tokens", "input_tokens", "prompt_tokens_details", "cache_creation", "cache_read_input_tokens", "t")


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_no_value_raises_anything_else(record: dict[str, Any]) -> None:
    fields.moment(record, *NAMES)
    fields.usd(record, *NAMES)
    fields.text(record, *NAMES)
    try:
        found = fields.usage(record)
    except LeftOutError:
        return
    assert found is None or found.total > 0
