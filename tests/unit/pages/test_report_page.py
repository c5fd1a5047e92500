"""The report's page: what it says, that it stands alone, and that names from logs are text."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from fivelevers.metering.report import Cluster, GroupBy, Totals, build, over_time
from fivelevers.pages.report_page import Promise, Told, report_page
from fivelevers.prices import Usage
from tests.unit.pages.test_markup import Read

HOSTILE = "</title><script>alert(1)</script>'\"><img src=x onerror=alert(2)>"
DAY = 20_000


def totals(cost: str, without: str, *, requests: int = 1, successes: int = 1) -> Totals:
    return Totals(
        requests=requests, attempts=requests, successes=successes, usage=Usage(input=1000, output=100),
        cost=Decimal(cost), cost_without_us=Decimal(without), known_cost=Decimal(cost),
    )  # fmt: skip


def clusters(route: str = "support", days: int = 3) -> list[Cluster]:
    return [
        Cluster(route, f"s{n}-{day}", holdout=False, totals=totals("0.01", "0.03"), day=DAY + day)
        for day in range(days)
        for n in range(40)
    ]


def told(found: list[Cluster], *savings: tuple[str, str, str, Decimal]) -> Told:
    lines = build(found, savings)
    whole = [Cluster("all", one.session, holdout=False, totals=one.totals) for one in found]
    sums = [("all", lever, basis, usd) for _, lever, basis, usd in savings]
    total = build(whole or [Cluster("all", "", holdout=False, totals=Totals())], sums)[0]
    steps = over_time(found)
    return Told(GroupBy.ROUTE, 0.0, float("inf"), total, lines, steps, 1, lines, steps, {})


def test_the_page_says_what_was_saved_and_by_which_lever() -> None:
    found = clusters()
    page = Read(report_page(told(found, ("support", "prompt_cache", "observed", Decimal("2.4")))))
    assert "$2.4000 of $3.6000 saved: 66.7 %" in page.text
    assert "Lever 1, provider prompt cache, saved most: $2.4000" in page.text


def test_the_page_stands_alone() -> None:
    page = Read(report_page(told(clusters())))
    assert not {"script", "link", "img", "iframe"} & set(page.names)
    outside = [value for name, value in page.attributes if name in {"src", "href", "xlink:href"}]
    assert outside == []


def test_names_from_outside_are_text() -> None:
    page = Read(report_page(told(clusters(HOSTILE))))
    assert not {"script", "img"} & set(page.names)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in page.text


def test_a_ledger_without_traffic_says_so() -> None:
    assert "No traffic in this period" in Read(report_page(told([]))).text


def test_a_route_that_nobody_calibrated_promises_nothing() -> None:
    seen = Promise("chat", served=10, judged=5, wrong=0, upper=0.4, max_wrong=None)
    page = Read(report_page(replace(told(clusters()), promises=(seen,))))
    assert "Lever 2 promises nothing on wrong hits before a calibration" in page.text
    assert "none yet" in page.text
    kept = Promise("support", served=900, judged=300, wrong=1, upper=0.02, max_wrong=0.03)
    page = Read(report_page(replace(told(clusters()), promises=(seen, kept))))
    assert "Lever 2's promise on wrong hits is shown on 1 of 1 routes" in page.text


def test_every_picture_has_a_name_and_says_what_it_shows() -> None:
    pictures = re.findall(r"<svg .*?</svg>", report_page(told(clusters())), re.S)
    assert pictures
    assert all(re.search(r"<title>.+?</title><desc>.+?</desc>", one) and 'role="img"' in one for one in pictures)


def test_a_session_of_two_days_is_one() -> None:
    twice = [
        Cluster("r", f"s{n}", holdout=False, totals=totals("1", "1"), day=day) for n in range(29) for day in (0, 1)
    ]
    (line,) = build(twice)
    assert "29 sessions" in getattr(line.cost_per_success, "detail", "")


@pytest.mark.parametrize(("step_days", "first_days"), [(1, [3, 5, 9]), (2, [3, 5, 9]), (7, [3])])
def test_steps_begin_with_the_first_day(step_days: int, first_days: list[int]) -> None:
    found = [Cluster("r", "s", holdout=False, totals=totals("1", "1"), day=day) for day in (9, 3, 5)]
    steps = over_time(found, step_days)
    assert [day for day, _ in steps] == first_days
    assert sum((line.totals for _, lines in steps for line in lines), Totals()).cost == 3


def test_a_token_that_got_cheaper_and_a_good_answer_that_got_dearer_is_the_title() -> None:
    def day(day: int, cost: str, tokens: int, successes: int) -> list[Cluster]:
        sums = Totals(requests=4, successes=successes, failures=4 - successes, usage=Usage(input=tokens),
                      cost=Decimal(cost), cost_without_us=Decimal(cost), known_cost=Decimal(cost))  # fmt: skip
        return [Cluster("weak", f"{day}-{n}", holdout=False, totals=sums, day=day) for n in range(40)]

    page = Read(report_page(told(day(1, "1", 1000, 4) + day(2, "1", 2000, 1))))
    assert "On weak a token got cheaper and a good answer dearer" in page.text
