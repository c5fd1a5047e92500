"""What goes through the spool comes out as it went in, to the last digit."""

from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Attempt, Event, OutcomeSeen, UsageSource, from_record, to_record
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.order import LEVER_NAMES
from fivelevers.prices import Kind, Usage

NAMES = st.text(max_size=8)
USD = st.decimals(min_value=0, max_value=10**6, places=12)
TOKENS = st.integers(0, 10**9)
SAVINGS = st.builds(
    Saving, st.sampled_from(LEVER_NAMES), st.sampled_from(Basis), st.decimals(min_value=-99, max_value=99, places=12)
)
ATTEMPTS = st.builds(
    Attempt,
    usage=st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS),
    usage_source=st.sampled_from(UsageSource),
    tags=st.lists(NAMES, max_size=2).map(tuple),
    treated=st.lists(st.sampled_from(LEVER_NAMES), max_size=2).map(tuple),
    savings=st.lists(SAVINGS, max_size=2).map(tuple),
    cost_usd=st.none() | USD,
    cost_parts=st.none() | st.dictionaries(st.sampled_from(Kind), USD),
    list_cost_usd=st.none() | USD,
    cost_without_us_usd=st.none() | USD,
    failure_cost_usd=USD,
    at=st.floats(0, 2e9),
    started_at=st.floats(0, 2e9),
    asked_at=st.floats(0, 2e9),
    repeat_window_s=st.none() | st.floats(0, 1e6),
    u=st.floats(0, 1),
    **dict.fromkeys(
        [
            "event_id",
            "request_id",
            "route",
            "tenant",
            "team",
            "key",
            "key_alias",
            "session",
            "api",
            "alias",
            "model",
            "provider",
            "provider_key",
            "deployment",
            "provider_request_id",
            "error",
            "finish_reason",
            "policy",
            "digest",
        ],
        NAMES,
    ),
    **{name: st.booleans() for name in ("explicit_session", "stream", "success", "holdout")},
)
OUTCOMES = st.builds(
    OutcomeSeen, NAMES, NAMES, st.floats(0, 2e9), st.sampled_from(Outcome), st.sampled_from(Source), st.none() | NAMES
)


@given(ATTEMPTS | OUTCOMES)
def test_an_event_survives_the_spool(event: Event) -> None:
    assert from_record(orjson.loads(orjson.dumps(to_record(event), default=str))) == event


@pytest.mark.parametrize(
    "record", [{}, {"kind": "attempt"}, {"kind": "outcome", "outcome": "maybe"}, {"kind": "other"}, {"kind": None}]
)
def test_what_is_no_event_is_refused(record: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_record(record)


def test_decimals_keep_their_digits() -> None:
    exact = Decimal("0.000000000001")
    record = orjson.loads(orjson.dumps({"usd": exact}, default=str))
    assert Decimal(record["usd"]) == exact
