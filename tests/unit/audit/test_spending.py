"""What the calls of a log cost, by route and time."""

from decimal import Decimal

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.spending import DAY_S, HOUR_S, Spending, Spent
from tests.unit.audit.logged import call

_CHARGE = Charge(paid=Decimal(2), marked=Decimal(1))


def test_hours_of_a_short_log_days_of_a_longer_one() -> None:
    spending = Spending()
    for at in (7200.0, 7300.0, 10_900.0):
        spending.see(call(at, input=10), "a", _CHARGE)
    assert spending.steps() == (HOUR_S, [Spent("a", 7200, 2, 20, Decimal(4)), Spent("a", 10_800, 1, 10, Decimal(2))])
    spending.see(call(4.0 * DAY_S, input=10), "a", None)
    assert spending.steps() == (
        DAY_S,
        [Spent("a", 0, 3, 30, Decimal(6)), Spent("a", 4 * DAY_S, 1, 10, Decimal(0))],
    )


def test_an_empty_log_has_no_steps() -> None:
    assert Spending().steps() == (HOUR_S, [])
