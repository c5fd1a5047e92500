"""The ledger by UTC day, as an export is held against it."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from fivelevers.metering.event import UsageSource, to_record
from fivelevers.metering.exports.lines import DAY_S, Aside, Line
from fivelevers.prices import Kind, Usage
from fivelevers.stores.daily_query import books
from fivelevers.stores.ledger import Ledger
from tests.unit.events import attempt

NOON = DAY_S * 20_000 + DAY_S / 2
DAY = DAY_S * 20_000
UNPRICED = {"cost_usd": None, "cost_parts": None, "list_cost_usd": None, "cost_without_us_usd": None}


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def insert(ledger: Ledger, *changes: dict[str, object]) -> None:
    assert ledger.insert([to_record(attempt(**change)) for change in changes]) == []


def lines(ledger: Ledger, start: float = 0.0, until: float = 1e12, **only: str) -> list[Line]:
    return sorted(
        books(ledger, start, until, **only).lines, key=lambda line: (line.at, line.model or "", str(line.kind))
    )


def test_tokens_and_dollars_of_a_day_are_summed(ledger: Ledger) -> None:
    insert(ledger, {"at": NOON}, {"at": DAY}, {"at": DAY + DAY_S - 0.001}, {"at": DAY + DAY_S})
    assert lines(ledger) == [
        Line(DAY, "openai", "gpt-4.1", Kind.INPUT, 300, Decimal("0.0006")),
        Line(DAY, "openai", "gpt-4.1", Kind.OUTPUT, 30, Decimal("0.00024")),
        Line(DAY + DAY_S, "openai", "gpt-4.1", Kind.INPUT, 100, Decimal("0.0002")),
        Line(DAY + DAY_S, "openai", "gpt-4.1", Kind.OUTPUT, 10, Decimal("0.00008")),
    ]


def test_the_period_is_half_open_and_exact(ledger: Ledger) -> None:
    insert(ledger, {"at": NOON}, {"at": NOON + 1}, {"at": NOON + 2})
    assert [line.tokens for line in lines(ledger, NOON, NOON + 2)] == [200, 20]


def test_providers_and_keys_are_told_apart(ledger: Ledger) -> None:
    insert(ledger, {"provider_key": "aaaa"}, {"provider_key": "bbbb", "key": "k2"}, {"provider": "anthropic"})
    assert [line.tokens for line in lines(ledger, provider="openai")] == [200, 20]
    assert [line.tokens for line in lines(ledger, key="bbbb")] == [100, 10]
    assert lines(ledger, key="bbbb") == lines(ledger, key="k2")
    assert lines(ledger, key="cccc") == []


def test_estimated_usage_stands_aside(ledger: Ledger) -> None:
    insert(
        ledger, {"at": NOON}, {"at": NOON, "usage_source": UsageSource.ESTIMATED, "usage": Usage(input=70, output=3)}
    )
    assert [line.tokens for line in lines(ledger)] == [100, 10]
    (aside,) = books(ledger, 0, 1e12).asides
    assert aside == Aside(DAY, "openai", "gpt-4.1", estimated=1, estimated_tokens=73)


def test_one_attempt_without_a_price_makes_the_days_dollars_unknown(ledger: Ledger) -> None:
    insert(ledger, {"at": NOON}, {"at": NOON, **UNPRICED}, {"at": NOON + DAY_S})
    assert [line.usd for line in lines(ledger)] == [None, None, Decimal("0.0002"), Decimal("0.00008")]
    (aside,) = books(ledger, 0, 1e12).asides
    assert (aside.unpriced, aside.estimated) == (1, 0)
