"""The report as a page: what was saved and how that is known, the two numbers over time, waste, what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from fivelevers.metering.attribution import Basis, WasteKind
from fivelevers.metering.interval import CostPerSuccess, Withheld
from fivelevers.metering.measured import Measured
from fivelevers.metering.report import GroupBy, Line, Totals
from fivelevers.order import LEVERS
from fivelevers.pages.bars import Bar, Bound, bars, bounds
from fivelevers.pages.holdout import against, forgone, measured_section
from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import DAY_S, count, dollars, full_day, percent
from fivelevers.pages.over_time import Point, Span, columns, line, span_of
from fivelevers.pages.parts import Draw, Tile, document, figure, folded, items, key, note, section, small, table, tiles
from fivelevers.pages.waterfall import Step, waterfall
from fivelevers.switch import Switch

ROUTES_SHOWN: Final = 8
ZERO: Final = Decimal(0)

WASTE: Final = {
    WasteKind.FAILED_REQUEST: "answers that failed",
    WasteKind.SUPERSEDED_ATTEMPT: "attempts that were replaced",
    WasteKind.UNREAD_CACHE_WRITE: "cache writes that nobody read",
    WasteKind.WRONG_HIT: "wrong hits",
    WasteKind.DISCARDED_WEAK_CALL: "answers that were thrown away",
    WasteKind.DOUBLE_BILLED_RESCUE: "batch rows billed twice",
}


@dataclass(frozen=True, slots=True)
class Promise:
    """Lever 2's semantic hits on one route: how many were ``served``, how many were ``judged`` against a fresh answer
    and were ``wrong``, the share that can be wrong at most (95 %, at every look; None: not computed), and the share
    that its latest calibration promises (None: there is none)."""

    route: str
    served: int
    judged: int
    wrong: int
    upper: float | None
    max_wrong: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger says of [``since``, ``until``), seconds since the epoch; ``since`` 0: of all of it.

    ``total`` is of everything, ``lines`` of each group; ``steps`` are the lines of each ``step_days`` days, by their
    first day (whole days since the epoch). ``parts`` and ``part_steps`` are the same where each request has one group;
    by tag, where it has several or none, of everything. ``held``: of the holdout's sessions, by part.
    """

    by: GroupBy
    since: float
    until: float
    total: Line
    lines: Sequence[Line]
    steps: Sequence[tuple[int, Sequence[Line]]]
    step_days: int
    parts: Sequence[Line]
    part_steps: Sequence[tuple[int, Sequence[Line]]]
    held: Mapping[str, Totals]
    promises: Sequence[Promise] = ()
    measured: Sequence[Measured] = ()
    retreats: Sequence[Switch] = ()


def report_page(told: Told) -> str:
    """One HTML file."""
    title, doubts = headline(told), against(told.measured)
    body = (
        element("h1", title),
        items(doubts) if doubts else Markup(""),
        element("p", _lead(told), class_="lead"),
        tiles(_tiles(told.total)),
        _saved(told.total),
        _by_day(told),
        _two_numbers(told),
        _wasted(told.total),
        _promised(told.promises),
        measured_section(told.measured, told.retreats),
        _proof(told),
        _lines(told),
        _not_known(told),
    )
    return document(f"{title} - fivelevers", *body, kind="report")


def headline(told: Told) -> str:
    """The finding, in one line, and whether the holdout has another one."""
    return f"{_finding(told.total)}{'; the holdout disagrees' if against(told.measured) else ''}"


def _finding(total: Line) -> str:
    saved, without = total.totals.saved, total.totals.cost_without_us
    if not total.totals.requests:
        return "No traffic in this period"
    if saved == 0:
        return f"{dollars(total.totals.cost)} spent, and no lever has saved anything yet"
    if saved < 0:
        return f"The levers cost {dollars(-saved)} more than they saved"
    return f"{dollars(saved)} of {dollars(without)} saved: {percent(saved / without)}"


def period(told: Told) -> str:
    days = [day for day, _ in told.part_steps]
    if not days:
        return "no traffic"
    first = max(told.since, days[0] * DAY_S)
    last = min(told.until - 1, (days[-1] + told.step_days - 1) * DAY_S)
    return full_day(first) if full_day(first) == full_day(last) else f"{full_day(first)} to {full_day(last)}"


def _lead(told: Told) -> str:
    totals = told.total.totals
    sent = f"{count(totals.requests)} requests, {count(totals.usage.total)} tokens"
    saved = "Saved is what the same requests had cost with every lever off, less what they cost."
    return f"{period(told)} (UTC): {sent}. {saved}"


def _tiles(total: Line) -> Iterator[Tile]:
    totals, per_token, good = total.totals, total.usd_per_million_tokens, total.cost_per_success
    yield Tile("Cost", dollars(totals.cost), f"without us {dollars(totals.cost_without_us)}")
    yield Tile("Saved", dollars(totals.saved), _share(totals.saved, totals.cost_without_us), _tone(totals.saved))
    yield Tile("Cost per token", "-" if per_token is None else dollars(per_token), "for a million")
    if isinstance(good, CostPerSuccess):
        between = f"for a thousand (95 %: {dollars(1000 * good.low_usd)} to {dollars(1000 * good.high_usd)})"
        yield Tile("Cost per good answer", dollars(1000 * good.usd), between)
    else:
        yield Tile("Cost per good answer", "withheld", good.detail)
    waste = wasted(total)
    yield Tile("Waste", dollars(waste), _share(waste, totals.cost) + " of the cost")


def wasted(line: Line) -> Decimal:
    return sum((waste.usd for waste in line.waste), ZERO)


def _share(part: Decimal, whole: Decimal) -> str:
    return percent(part / whole) if whole else "-"


def _tone(amount: Decimal) -> str:
    return "" if not amount else "good" if amount > 0 else "bad"


def by_lever(lines: Iterable[Line]) -> dict[tuple[str, str], Decimal]:
    """USD by lever and basis, in lever order."""
    sums: dict[tuple[str, str], Decimal] = {}
    for one in lines:
        for lever, basis, usd in one.savings:
            sums[lever, basis] = sums.get((lever, basis), ZERO) + usd
    return sums


def levers_waterfall(total: Line) -> Draw:
    """From the cost without us to the cost, lever by lever."""
    of = _by_basis(total)
    steps = [
        Step(f"{one.number}  {one.title}", one.name, float(of[one.name][0]), float(of[one.name][1])) for one in LEVERS
    ]
    before, after = ("Without us", float(total.totals.cost_without_us)), ("Cost", float(total.totals.cost))
    return waterfall("From the cost without us to the cost", before, steps, after)


def _by_basis(total: Line) -> dict[str, list[Decimal]]:
    """USD of each lever, observed and estimated."""
    sums = by_lever([total])
    return {one.name: [sums.get((one.name, basis.value), ZERO) for basis in Basis] for one in LEVERS}


def _saved(total: Line) -> Markup:
    of = _by_basis(total)
    rows = [[one.title, *(dollars(usd) for usd in (*of[one.name], sum(of[one.name], ZERO)))] for one in LEVERS]
    in_all = (sum((parts[at] for parts in of.values()), ZERO) for at in (0, 1))
    rows.append(["All", *(dollars(usd) for usd in (*in_all, total.totals.saved))])
    return section(
        _best(of),
        note(
            "Each lever is credited with what it took off after those before it. Observed: the bill shows it. "
            "Estimated: no bill can show what was not asked. What a lever itself spent is charged to it."
        ),
        figure(levers_waterfall(total)),
        key((("observed", "cost", True), ("estimated", "cost", False))),
        folded("As a table", table(("Lever", "Observed", "Estimated", "Saved"), rows, total=True)),
    )


def _best(of: dict[str, list[Decimal]]) -> str:
    lever = max(LEVERS, key=lambda one: sum(of[one.name], ZERO))
    best = sum(of[lever.name], ZERO)
    if best <= 0:
        return "No lever has saved anything yet"
    return f"Lever {lever.number}, {lever.title.lower()}, saved most: {dollars(best)}"


def _by_day(told: Told) -> Markup:
    if not told.part_steps:
        return Markup("")
    sums = [(day * DAY_S, _sum(lines)) for day, lines in told.part_steps]
    before = [Point(at, float(without)) for at, (_, without) in sums]
    after = [Point(at, float(cost)) for at, (cost, _) in sums]
    unit = "day" if told.step_days == 1 else f"{told.step_days} days"
    rows = [(full_day(at), dollars(cost), dollars(out), dollars(out - cost)) for at, (cost, out) in reversed(sums)]
    return section(
        f"What each {unit} cost",
        key((("cost", "cost", True), ("what it had cost without us", "ghost", True))),
        figure(columns(f"Dollars for each {unit}", before, after, _span(told))),
        folded("As a table", table(("From", "Cost", "Without us", "Saved"), rows)),
    )


def _sum(lines: Iterable[Line]) -> tuple[Decimal, Decimal]:
    some = list(lines)
    return sum((one.totals.cost for one in some), ZERO), sum((one.totals.cost_without_us for one in some), ZERO)


def _span(told: Told) -> Span:
    return span_of([day * DAY_S for day, _ in told.part_steps], told.step_days * DAY_S)


def _two_numbers(told: Told) -> Markup:
    if not told.steps:
        return Markup("")
    shown = [one for one in told.lines if one.totals.requests][:ROUTES_SHOWN]
    series = [(one.group, *_series(one.group, told)) for one in shown]
    left = len([one for one in told.lines if one.totals.requests]) - len(shown)
    return section(
        _parted(series) or f"A token, and a good answer, by {told.by.value}",
        note(
            "Cost per token falls when a cheaper model answers, even if its answers are useless; cost per good answer "
            "does not: it pays for retries, failures and verification. The band is its 95 % interval, by session. "
            "Where nothing is drawn, too little is known to say."
        ),
        element("div", *(_pair(*one, told) for one in series), class_="pairs"),
        note(f"{left} more with lower cost are in the table below.") if left else "",
    )


def _series(group: str, told: Told) -> tuple[list[Point], list[Point]]:
    """USD for a million tokens, and for a thousand good answers, by step."""
    tokens, good = list[Point](), list[Point]()
    for day, lines in told.steps:
        one = next((found for found in lines if found.group == group), None)
        if one is None:
            continue
        if one.usd_per_million_tokens is not None:
            tokens.append(Point(day * DAY_S, float(one.usd_per_million_tokens)))
        if isinstance(value := one.cost_per_success, CostPerSuccess):
            good.append(Point(day * DAY_S, *(float(1000 * usd) for usd in (value.usd, value.low_usd, value.high_usd))))
    return tokens, good


def _pair(group: str, tokens: list[Point], good: list[Point], told: Told) -> Markup:
    span, known = _span(told), {point.at for point in good}
    dark = sum(1 for point in tokens if point.at not in known)
    unit = "days" if told.step_days == 1 else f"steps of {told.step_days} days"
    missing = f"; withheld for {dark} of {len(tokens)} {unit}" if dark else ""
    return element(
        "div",
        element("h3", group),
        small("$ for a million tokens", line(f"{group}: cost per token", tokens, span, "cost")),
        small(f"$ for a thousand good answers{missing}", line(f"{group}: cost per good answer", good, span, "good")),
        class_="pair",
    )


def _parted(series: Iterable[tuple[str, list[Point], list[Point]]]) -> str:
    """A route on which a token got cheaper and a good answer, beyond its intervals, dearer; else empty."""
    for group, tokens, good in series:
        if len(tokens) > 1 and len(good) > 1 and tokens[-1].usd < tokens[0].usd:
            first, last = good[0].high, good[-1].low
            if first is not None and last is not None and last > first:
                return f"On {group} a token got cheaper and a good answer dearer: that is waste"
    return ""


def _wasted(total: Line) -> Markup:
    amount, cost = wasted(total), total.totals.cost
    kinds = sorted(total.waste, key=lambda waste: -waste.usd)
    shown = [Bar(WASTE[one.kind], float(one.usd), dollars(one.usd), "bad") for one in kinds]
    title = f"{dollars(amount)} bought nothing: {_share(amount, cost)} of the cost" if amount else "No waste is known"
    return section(title, figure(bars("Waste by its name", shown)))


def _promised(promises: Sequence[Promise]) -> Markup:
    if not promises:
        return Markup("")
    bounded = [(one, one.upper) for one in promises if one.upper is not None and one.judged]
    shown = [
        Bound(one.route, one.wrong / one.judged, upper, one.max_wrong, f"at most {percent(upper)}")
        for one, upper in bounded[:ROUTES_SHOWN]
    ]
    rows = [_promise_row(one) for one in promises]
    return section(
        _kept(promises),
        note(
            "A part of lever 2's semantic hits is asked afresh and judged. The dot is the share that was wrong, the "
            "end of the line what it can be at most (95 %, however often one looks), the dashed mark what is promised. "
            "Until there are many audits the line is long: that is no breach, and no proof."
        ),
        figure(bounds("Wrong hits of lever 2, by route", shown, "semantic_cache")) if shown else "",
        table(("Route", "Served", "Audited", "Wrong", "At most", "Promised"), rows),
    )


def _kept(promises: Sequence[Promise]) -> str:
    """Whether the audits show it; that they do not yet is no breach."""
    made = [(one.max_wrong, one.upper) for one in promises if one.max_wrong is not None]
    shown = [upper for max_wrong, upper in made if upper is not None and upper <= max_wrong]
    if not made:
        return "Lever 2 promises nothing on wrong hits before a calibration"
    return f"Lever 2's promise on wrong hits is shown on {len(shown)} of {len(made)} routes"


def _promise_row(one: Promise) -> list[str]:
    counts = (f"{number:,}" for number in (one.served, one.judged, one.wrong))
    bound = "not computed" if one.upper is None else percent(one.upper)
    return [one.route, *counts, bound, "none yet" if one.max_wrong is None else percent(one.max_wrong)]


def held_out(told: Told) -> Totals:
    return sum(told.held.values(), Totals())


def _proof(told: Told) -> Markup:
    held, totals = held_out(told), told.total.totals
    if not held.requests and not totals.proof_cost:
        return Markup("")
    rows = (
        ("Judging, embedding, auditing, watching and benchmarks, charged to their lever", dollars(totals.proof_cost)),
        (f"Not saved on {held.requests:,} requests of the holdout", dollars(forgone(told.measured))),
    )
    return section(
        f"Knowing this cost {dollars(totals.proof_cost + max(forgone(told.measured), ZERO))}",
        note(
            "The first is in the cost above. The second is on no bill: what these sessions had saved like the others."
        ),
        table(("What", "Dollars"), rows),
    )


def _lines(told: Told) -> Markup:
    head = (told.by.value.capitalize(), "Requests", "Tokens", "Cost", "Without us", "Saved", "Waste", "$/M tokens",
            "$/1k good", "95 %", "Known")  # fmt: skip
    return section(f"Every {told.by.value}", table(head, [_row(one) for one in told.lines]))


def _row(one: Line) -> list[str]:
    totals, per_token, good = one.totals, one.usd_per_million_tokens, one.cost_per_success
    amounts = (totals.cost, totals.cost_without_us, totals.saved, wasted(one))
    known = ("withheld", "") if isinstance(good, Withheld) else _interval(good)
    counts = (count(totals.requests), count(totals.usage.total))
    unit = "-" if per_token is None else f"{per_token:.3f}"
    return [one.group, *counts, *(dollars(amount) for amount in amounts), unit, *known, percent(one.coverage, 0)]


def _interval(good: CostPerSuccess) -> tuple[str, str]:
    value, low, high = (f"{1000 * usd:.3f}" for usd in (good.usd, good.low_usd, good.high_usd))
    return value, f"{low} - {high}"


def not_known(told: Told) -> Iterator[str]:
    """What stands in no sum, or rests on an estimate."""
    totals = told.total.totals
    if totals.unpriced:
        yield f"{totals.unpriced:,} attempts have no known price and are in no sum: state it (FIVELEVERS_PRICES)."
    if totals.late_rows:
        yield f"{totals.late_rows:,} batch rows came after they had been asked live and were billed twice."
    if totals.estimated:
        cost = dollars(totals.estimated_cost)
        yield f"{totals.estimated:,} attempts ({cost}) have tokens that we counted: their provider never told them."
    unknown = totals.requests - totals.known
    if unknown:
        yield f"The outcome of {unknown:,} of {totals.requests:,} requests is unknown; none counts as a success."
    for one in told.lines:
        if isinstance(one.cost_per_success, Withheld) and one.totals.requests:
            yield f"{one.group}: cost per good answer is withheld: {one.cost_per_success.detail}."


def _not_known(told: Told) -> Markup:
    texts = list(not_known(told))
    return section("What is not known", items(texts)) if texts else Markup("")
