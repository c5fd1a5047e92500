"""What the calls of a log cost, by route and time."""

from dataclasses import replace
from decimal import Decimal

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.spending import DAY_S, HOUR_S, Spending, Spent
from fivelevers.metering.cost import rounded
from fivelevers.metering.interval import CostPerSuccess, Withheld
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
        [Spent("a", 0, 3, 30, Decimal(6)), Spent("a", 4 * DAY_S, 1)],
    )


def test_an_empty_log_has_no_steps() -> None:
    assert Spending().steps() == (HOUR_S, [])


def test_a_good_answer_is_told_with_an_interval_once_enough_hours_are_labelled() -> None:
    spending = Spending()
    for hour in range(40):
        for n in range(3):
            spending.see(replace(call(hour * 3600.0 + n, input=10), good=n != hour % 7), "a", _CHARGE)
        spending.see(call(hour * 3600.0 + 9, input=10), "a", _CHARGE)
    told = spending.per_success()["a"]
    assert isinstance(told, CostPerSuccess)
    good = sum(n != hour % 7 for hour in range(40) for n in range(3))
    assert (told.successes, told.sessions, told.usd) == (good, 40, rounded(Decimal(240) / good))
    assert told.low_usd < told.usd < told.high_usd


def test_few_hours_are_withheld_and_routes_without_labels_left_out() -> None:
    spending = Spending()
    spending.see(replace(call(0.0, input=10), good=True), "a", _CHARGE)
    spending.see(call(0.0, input=10), "b", _CHARGE)
    (told,) = spending.per_success().values()
    assert isinstance(told, Withheld)
    assert "1 hours with a known outcome; 30 needed: 29 more hours" in told.detail
