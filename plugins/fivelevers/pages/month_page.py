"""One month on one sheet, for who pays: dollars saved, how that is known, what it cost to know, what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from fivelevers.metering.interval import CostPerSuccess
from fivelevers.metering.measured import together
from fivelevers.metering.report import GroupBy, Line
from fivelevers.order import LEVERS
from fivelevers.pages.holdout import against, forgone, forgone_told
from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import count, dollars, percent
from fivelevers.pages.parts import Tile, document, figure, items, note, section, short_title, table, tiles
from fivelevers.pages.report_page import (
    ZERO,
    Told,
    by_lever,
    headline,
    held_out,
    levers_waterfall,
    not_known,
    wasted,
)

_LINES = 12
_UNKNOWNS = 5


def month_page(told: Told) -> str:
    """One HTML file that prints on one sheet of A4."""
    month = f"{datetime.fromtimestamp(told.since, UTC):%B %Y}"
    title = f"{month}: {headline(told)}"
    body = (
        element("h1", title),
        tiles(_tiles(told)),
        section(f"Saved, by {told.by.value} and lever", table(*_saved(told), total=True), *_of_tags(told)),
        element("div", *_halves(told), class_="halves"),
    )
    return document(f"{title} - fivelevers", element("div", *body, class_="sheet"), kind="monthly proof")


def _halves(told: Told) -> Iterator[Markup]:
    picture = section("From the cost without us to the cost", figure(levers_waterfall(told.total)))
    yield element("div", picture, section("What it cost to know", items(_cost_of_proof(told))))
    yield element(
        "div", section("How it is known", items(_how(told))), section("What is not known", items(_unknown(told)))
    )


def _tiles(told: Told) -> Iterator[Tile]:
    total, measured = told.total, together(told.measured)
    totals, sums = total.totals, by_lever([total])
    of = {basis: sum((usd for (_, b), usd in sums.items() if b == basis), ZERO) for basis in ("observed", "estimated")}
    yield Tile("Cost", dollars(totals.cost), f"without us {dollars(totals.cost_without_us)}")
    yield Tile("Saved, observed", dollars(of["observed"]), "the bills show it")
    yield Tile("Saved, estimated", dollars(of["estimated"]), "no bill can show it")
    if measured is not None:
        ends = f"{dollars(measured.low_usd)} to {dollars(measured.high_usd)} (95 %)"
        yield Tile("Saved, measured", dollars(measured.usd), f"against the holdout, {ends}")
    good = total.cost_per_success
    value = dollars(1000 * good.usd) if isinstance(good, CostPerSuccess) else "withheld"
    yield Tile("A thousand good answers", value, f"outcome known of {percent(total.coverage, 0)}")
    yield Tile("Waste", dollars(wasted(total)), "bought nothing")


def _saved(told: Told) -> tuple[tuple[str, ...], list[list[str]]]:
    head = (
        told.by.value.capitalize(),
        "Without us",
        *(f"{lever.number} {short_title(lever.title)}" for lever in LEVERS),
    )
    rows = [_row(one.group, [one]) for one in told.lines[:_LINES]]
    rest = told.lines[_LINES:]
    if rest and told.by is not GroupBy.TAG:
        rows.append(_row(f"{len(rest)} others", rest))
    rows.append(_row("All", [told.total]))
    return (*head, "Saved", "Cost"), rows


def _of_tags(told: Told) -> Iterator[Markup]:
    if told.by is GroupBy.TAG:
        more = len(told.lines) - _LINES
        left = f" {more} more tags are not shown." if more > 0 else ""
        yield note(f"A request with several tags stands under each, one without tags in All alone.{left}")


def _row(name: str, lines: Iterable[Line]) -> list[str]:
    some = list(lines)
    sums = by_lever(some)
    of = [sum((usd for (name_, _), usd in sums.items() if name_ == lever.name), ZERO) for lever in LEVERS]
    ends = [sum((getattr(one.totals, what) for one in some), ZERO) for what in ("cost_without_us", "saved", "cost")]
    return [name, dollars(ends[0]), *(dollars(usd) if usd else "-" for usd in of), *(dollars(usd) for usd in ends[1:])]


def _how(told: Told) -> Iterator[str]:
    yield (
        "Every call to a provider is metered by kind of token, at the price of its deployment. "
        "The command reconcile holds the sums against the provider's own export."
    )
    yield "Observed: the provider billed other tokens, or another rate, because of a lever."
    yield "Estimated: a request that was answered from store or by another model, at what it had cost."
    yield "A lever gets what it takes off after those before it, less its own calls. The parts sum to the difference."
    yield "Measured: what requests cost in the holdout, less outside of it, whatever the prices say."
    yield from against(told.measured)
    good = told.total.cost_per_success
    if isinstance(good, CostPerSuccess):
        low, high = (dollars(1000 * usd) for usd in (good.low_usd, good.high_usd))
        yield f"A thousand good answers cost {low} to {high} (95 %, over {good.sessions:,} sessions)."


def _cost_of_proof(told: Told) -> Iterator[str]:
    held, totals = held_out(told), told.total.totals
    what = "judging, embedding, auditing, watching and benchmarks"
    yield f"{dollars(totals.proof_cost)} for {what}: in the cost, charged to their lever."
    if held.requests:
        share = percent(Decimal(held.requests) / max(totals.requests, 1))
        cost = forgone_told(forgone(told.measured))
        yield f"{cost} on {count(held.requests)} requests ({share}) that got no lever."
    else:
        yield "No holdout: no session was kept without the levers to compare with."


def _unknown(told: Told) -> list[str]:
    texts = list(not_known(told))
    more = len(texts) - _UNKNOWNS
    return [*texts[:_UNKNOWNS], *([f"{more} more: see the report."] if more > 0 else [])] or ["Nothing: all is priced."]
