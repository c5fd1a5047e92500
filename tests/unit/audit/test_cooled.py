"""What lever 2 takes from lever 1: a call that is not sent renews no entry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fivelevers.audit.answer_lines import AnswerLine
from fivelevers.audit.audit import Audit
from fivelevers.audit.cooled import REPLAYED, Cooled
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import call

MANUAL = "Page of a manual that everybody asks about. " * 300
SAME, EVERY_S, EACH = "When do you open?", 2400.0, 15


def audited(*, again: bool, replayed: int = REPLAYED) -> tuple[Decimal, AnswerLine]:
    """Every second question was asked before, or not: without those no entry lives until the next call, of one hour.

    USD of the input as lever 1 had marked it.
    """
    audits = Audit(PriceBook.from_litellm_map(find_litellm_map()), similar=False)
    audits.prefixes.cools = Cooled(replayed)
    for n in range(2 * EACH):
        question = SAME if again and n % 2 else f"Question {n}?"
        said = {"system": MANUAL, "messages": [{"role": "user", "content": question}], "temperature": 0}
        audits.see(call(n * EVERY_S, body=said, input=3000, ended=n * EVERY_S + 1), "desk")
    (line,), (found,) = audits.prefixes.lines(), audits.answers.lines().values()
    assert found.sure.calls == (EACH - 1 if again else 0)
    return line.projected.marked, found


def test_the_others_pay_for_what_nobody_renews() -> None:
    marked, line = audited(again=True)
    low, high = line.saving(after_lever_1=True) or (Decimal(0), Decimal(0))
    assert line.cooled > marked / 10
    assert (low, high) == (line.sure.marked - line.cooled, line.sure.marked)
    assert line.saving(after_lever_1=False) == (line.sure.paid, line.sure.paid)


def test_without_duplicates_nothing_cools() -> None:
    _, line = audited(again=False)
    assert line.cooled == 0
    assert line.saving(after_lever_1=True, missed=Decimal(1)) == (Decimal(0), Decimal(0))


def test_a_replay_of_lever_1_may_miss_that_at_both_ends() -> None:
    _, line = audited(again=True)
    exact, wide = (line.saving(after_lever_1=True, missed=Decimal(usd)) for usd in (0, 1))
    assert exact is not None
    assert wide == pytest.approx((exact[0] - 1, exact[1] + 1))


def test_of_a_long_route_the_rest_cools_by_as_much() -> None:
    whole, part = (audited(again=True, replayed=replayed)[1].cooled for replayed in (REPLAYED, 6))
    assert part == pytest.approx(whole, rel=Decimal("0.1"))
    assert part != whole
