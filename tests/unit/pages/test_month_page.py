"""The month on one sheet: dollars by route and lever that add up, how they are known, what knowing cost."""

from dataclasses import replace
from decimal import Decimal

from fivelevers.metering.measured import Measured, Saving
from fivelevers.metering.report import GroupBy, Totals
from fivelevers.pages.month_page import month_page
from fivelevers.pages.numbers import MINUS
from fivelevers.pages.report_page import report_page
from tests.unit.pages.test_markup import Read
from tests.unit.pages.test_report_page import HOSTILE, clusters, told

NOVEMBER = 1793491200.0


def test_the_month_says_what_each_lever_saved_and_how_that_is_known() -> None:
    parts = (
        ("support", "prompt_cache", "observed", Decimal("2.1")),
        ("support", "routing", "estimated", Decimal("0.3")),
    )
    page = Read(month_page(replace(told(clusters(), *parts), since=NOVEMBER)))
    assert "November 2026: $2.4000 of $3.6000 saved: 66.7 %" in page.text
    assert "$2.1000" in page.text
    assert "No holdout" in page.text
    assert "script" not in page.names


def test_names_from_outside_are_text() -> None:
    assert HOSTILE in Read(month_page(replace(told(clusters(HOSTILE)), since=NOVEMBER))).text


def test_the_routes_beyond_the_first_twelve_are_one_row() -> None:
    found = [one for n in range(15) for one in clusters(f"route-{n:02}", days=1)]
    page = Read(month_page(replace(told(found), since=NOVEMBER)))
    assert "3 others" in page.text
    assert "route-14" not in page.text


def test_tags_are_not_added_up() -> None:
    found = [one for n in range(15) for one in clusters(f"tag-{n:02}", days=1)]
    page = Read(month_page(replace(told(found), since=NOVEMBER, by=GroupBy.TAG)))
    assert "3 others" not in page.text
    assert "3 more tags are not shown" in page.text


def measured(saved: str, modelled: str) -> Measured:
    """Of 100 requests outside a holdout of 10."""
    half = Decimal("0.5")
    outside = Totals(requests=100, cost=Decimal(10), cost_without_us=Decimal(10) + Decimal(modelled))
    saving = Saving(Decimal(saved), Decimal(saved) - half, Decimal(saved) + half)
    return Measured("support", saving, outside, Totals(requests=10, cost=Decimal(1), cost_without_us=Decimal(1)))


def test_what_the_holdout_says_stands_beside_what_is_metered() -> None:
    found = [measured("2.4", "2.4")]
    held = {"support": found[0].holdout}
    page = Read(month_page(replace(told(clusters()), since=NOVEMBER, measured=found, held=held)))
    assert "against the holdout, $1.9000 to $2.9000 (95 %)" in page.text
    assert "disagrees" not in page.text
    assert "$0.2400 not saved on 10 requests" in page.text


def test_a_holdout_that_disagrees_is_in_the_headline_of_both_pages() -> None:
    found = replace(told(clusters()), since=NOVEMBER, measured=[measured("-5.4", "2.7")])
    found = replace(found, held={"support": found.measured[0].holdout})
    for page in (Read(month_page(found)), Read(report_page(found))):
        assert "the holdout disagrees" in page.text
        told_so = "The holdout disagrees on support: -$5.4000 measured (-$5.9000 to -$4.9000, 95 %), $2.7000 metered."
        assert told_so in page.text.replace(MINUS, "-")
    assert "$0.5400 less than treated on 10 requests" in Read(month_page(found)).text
