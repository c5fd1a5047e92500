"""The month on one sheet: dollars by route and lever that add up, how they are known, what knowing cost."""

from dataclasses import replace
from decimal import Decimal

from fivelevers.metering.report import GroupBy, Totals
from fivelevers.pages.month_page import month_page
from fivelevers.pages.report_page import forgone
from fivelevers.prices import Usage
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


def test_the_holdout_forgoes_what_the_others_save() -> None:
    held = Totals(requests=10, usage=Usage(input=1), cost=Decimal(1), cost_without_us=Decimal(1))
    (line,) = told(clusters()).lines
    both = replace(line, totals=line.totals + held)
    assert forgone(replace(told(clusters()), parts=[both], held={"support": held})) == Decimal(2) / 3
