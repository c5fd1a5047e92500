"""Bills beside a log: what they say by model, and how much of them the log's calls come to."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.bills import BYTES_AT_MOST, Beside, Bill, Days, beside, bills
from fivelevers.metering.exports.lines import DAY_S
from tests.unit.audit.logged import call

EXPORTS = Path(__file__).parents[3] / "examples/cost_exports"
DAY = 1_795_132_800.0  # 2026-11-20, the first day of the example exports


def only(name: str) -> Bill:
    (found,) = bills([str(EXPORTS / name)]).read
    return found


def held(name: str, sent: list[tuple[float, str | None]]) -> Beside | None:
    """``sent``: when, and what it cost; None: no price is known."""
    days = Days()
    for at, usd in sent:
        charge = None if usd is None else Charge(Decimal(usd), Decimal(usd))
        days.see(call(at, input=100, output=10), charge)
    times = [at for at, _ in sent]
    return beside(only(name), days, min(times), max(times))


def test_what_a_bill_says_by_model() -> None:
    found = only("openai_usage.csv")
    assert [(one.model, one.prompt, one.read, one.usd) for one in found.models] == [
        ("gpt-4.1", 180_000, 60_000, None),
        ("gpt-4.1-mini", 50_000, 0, None),
    ]
    costs = only("openai_costs.csv")
    assert (costs.usd, costs.other_usd) == (Decimal("0.546"), Decimal("0.1"))
    assert [(one.model, one.tokens, one.usd) for one in costs.models] == [
        ("gpt-4.1", None, Decimal("0.51")),
        ("gpt-4.1-mini", None, Decimal("0.036")),
    ]


def test_the_days_that_both_have_whole_are_compared() -> None:
    """The bill is of the 20th; the log's first and last day do not count where it has others."""
    sent = [(DAY - DAY_S, "7"), (DAY, "0.05"), (DAY + DAY_S - 1, "0.025"), (DAY + DAY_S, "7"), (DAY + 2 * DAY_S, "7")]
    told = held("anthropic_costs.csv", [*sent, (DAY + 5, None)])
    assert told is not None
    assert (told.whole, told.calls, told.unpriced, told.usd) == (True, 3, 1, Decimal("0.075"))
    assert told.billed_usd == Decimal("0.15")
    assert told.share == pytest.approx(0.5)


def test_a_log_of_a_part_of_a_day_says_so() -> None:
    told = held("anthropic_usage.csv", [(DAY + 3600, "0.05")])
    assert told is not None
    assert (told.whole, told.billed_usd, told.billed_tokens, told.tokens) == (False, None, 278_000, 110)


def test_days_apart_and_other_providers_are_not_compared() -> None:
    assert held("anthropic_costs.csv", [(DAY + 30 * DAY_S, "1")]) is None
    told = held("openai_costs.csv", [(DAY, "1")])  # these calls went to Anthropic
    assert told is not None
    assert told.calls == 0
    assert told.usd == 0


def test_packed_bills_are_read_and_others_are_named(tmp_path: Path) -> None:
    packed = tmp_path / "bill.csv.gz"
    packed.write_bytes(gzip.compress((EXPORTS / "openai_costs.csv").read_bytes()))
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(packed.read_bytes()[:-20])
    odd = tmp_path / "daily.jsonl"
    odd.write_text('{"date": "2026-11-20", "model": "gpt-4.1", "spend": 0.5, "api_requests": 7}\n')
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(BYTES_AT_MOST + 1)
    found = bills([str(packed), str(torn), str(odd), str(large), "-"])
    assert [bill.usd for bill in found.read] == [Decimal("0.546")]
    assert len(found.unread) == 4
    assert all(name in " ".join(found.unread) for name in ("torn.csv.gz", "daily.jsonl", "large.csv", "standard input"))
