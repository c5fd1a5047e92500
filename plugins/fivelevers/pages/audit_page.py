"""An audit as a page: what each lever would save on what the ones before it left, and what no log tells.

Drawn from what `fivelevers audit --json` prints, and from nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from fivelevers.order import LEVERS
from fivelevers.pages.audit_beside import bills, waste
from fivelevers.pages.curves import Column, Share, columns, shares
from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import DAY_S, MINUS, count, dollars, full_day, percent
from fivelevers.pages.over_time import Point, line, span_of
from fivelevers.pages.parts import (
    Tile,
    document,
    figure,
    folded,
    items,
    key,
    note,
    section,
    short_model,
    short_title,
    small,
    table,
    tiles,
)
from fivelevers.pages.waterfall import Step, waterfall

Record = Mapping[str, Any]
Ends = tuple[Decimal, Decimal]
_SHOWN: Final = 6
_ZERO: Final = Decimal(0)


def audit_page(record: Record) -> str:
    """One HTML file."""
    title = _headline(record)
    body = (
        element("h1", title),
        element("p", _lead(record), class_="lead"),
        tiles(_tiles(record)),
        _in_order(record),
        _over_time(record),
        _two_numbers(record),
        _reuse(record),
        _similar(record),
        waste(record),
        bills(record),
        _differences(record),
        _lines(record),
        _told(record),
    )
    return document(f"{title} - fivelevers", *body, kind="audit")


def _monthly(record: Record) -> bool:
    """Whether amounts are a month's, at the log's rate; a log of one moment has none, so they are its own."""
    return bool(record["period"] and record["period"]["seconds"])


def _span_word(record: Record) -> str:
    return "a month" if _monthly(record) else "in this log"


def _cost(record: Record) -> Decimal:
    """USD of all priced calls."""
    return _cost_of(record, "cost_a_month_usd" if _monthly(record) else "cost_usd")


def _cost_of(record: Record, name: str) -> Decimal:
    return sum((Decimal(one[name] or 0) for one in record["lines"]), _ZERO)


def _savings(record: Record) -> dict[str, Ends]:
    """USD by lever, (low, high), of the lines where it pays; a lever without figures is not in it."""
    told = {step["lever"]: _ends(step, record) for step in record["in_order"]["all"]["steps"]}
    return {lever: ends for lever, ends in told.items() if ends is not None}


def _held_out(record: Record) -> Ends:
    """USD that the levers do not save, since the holdout is left alone."""
    low, high = map(Decimal, _money(record["in_order"]["all"], "held_out", record) or ("0", "0"))
    return low, high


def _saved(record: Record) -> Ends:
    """By all levers, less what is held out."""
    ends, (low, high) = _savings(record).values(), _held_out(record)
    return sum((one for one, _ in ends), _ZERO) - low, sum((one for _, one in ends), _ZERO) - high


def _ends(told: Record, record: Record) -> Ends | None:
    saving = _money(told, "saving", record)
    if saving is None:
        return None
    low, high = map(Decimal, saving)
    return low, high


def _money(told: Record, name: str, record: Record) -> list[str] | None:
    found: list[str] | None = told.get(f"{name}_a_month_usd" if _monthly(record) else f"{name}_usd")
    return found


def _headline(record: Record) -> str:
    low, high = _saved(record)
    if not record["calls"]:
        return "No usable call is in these logs"
    if high <= 0:
        return f"Nothing of {dollars(_cost(record))} {_span_word(record)} is shown to be saved by these logs"
    return f"{_range(low, high)} of {dollars(_cost(record))} {_span_word(record)} could be saved"


def _range(low: Decimal, high: Decimal) -> str:
    ends = dollars(low), dollars(high)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _lead(record: Record) -> str:
    period = record["period"]
    if period is None:
        return "Nothing could be read as a call: see below what the rows are."
    first, last = full_day(period["first"]), full_day(period["last"])
    days = first if first == last else f"{first} to {last}"
    short = " The log is shorter than a day: take a month's figures as a hint." if period["seconds"] < DAY_S else ""
    calls, sample = f"{record['calls']:,} calls", record["sample"]
    if sample:
        calls = f"A sample, {sample['calls']:,} of {calls}"
    return f"{calls} of {days} (UTC), projected in the order of the levers.{short}"


def _tiles(record: Record) -> Iterator[Tile]:
    tokens = sum(one["tokens"] for one in record["spent"]["steps"])  # of the calls with a price
    cost, (low, high) = _cost(record), _saved(record)
    in_log = _cost_of(record, "cost_usd")
    yield Tile("Cost", dollars(cost), f"{_span_word(record)}; in the log {dollars(in_log)}")
    ends = dict.fromkeys(percent(end / cost, 0) for end in (low, high)) if cost else {}
    share = f"{' to '.join(ends)} of it" if ends else ""
    yield Tile("Could be saved", _range(low, high), share, "good" if high > 0 else "")
    yield Tile("Cost per token", dollars(in_log * 1_000_000 / tokens) if tokens else "-", "for a million")
    labelled = sum(one["labelled"] for one in record["spent"]["steps"])
    if labelled:
        yield Tile("Good answers", percent(_good(record) / labelled, 0), f"of {labelled:,} that the logs label")
    else:
        yield Tile("Cost per good answer", "not known", "no outcome is in these logs; the proxy's report has them")


def _good(record: Record) -> int:
    return sum(int(one["good"]) for one in record["spent"]["steps"])


def _in_order(record: Record) -> Markup:
    if not record["lines"]:
        return Markup("")
    cost, told = _cost(record), record["in_order"]["all"]
    steps = [_step(step, record) for step in told["steps"]]
    low, high = _held_out(record)
    if high:
        steps.append(Step("Held out, as proof", "cost", -float(low), -float(high - low), f"+{_range(low, high)}"))
    drawn = waterfall(
        "What is paid, lever by lever", ("Paid", float(cost)), steps, ("At best", float(cost - _saved(record)[1]))
    )
    return section(
        f"What each lever would take off, {_span_word(record)}",
        note(
            "Each lever is projected on what those before it left, and counted where it pays. The filled part is the "
            f"low end, the pale one reaches to the high end. {percent(told['holdout'], 0)} of the sessions are held "
            f"out: no lever acts there, so that what the others save is measured.{_to_know(told)}"
        ),
        figure(drawn),
        key((("at least", "cost", True), ("at most", "cost", False))),
    )


def _to_know(told: Record) -> str:
    """What the evidence costs before a lever may act."""
    costs = [(step["number"], Decimal(step["to_prove_usd"][1])) for step in told["steps"]]
    some = [f"lever {number} {dollars(cost)}" for number, cost in costs if cost]
    return f" To know, once and at most: {', '.join(some)}." if some else ""


def _step(told: Record, record: Record) -> Step:
    label, ends = f"{told['number']}  {told['title']}", _ends(told, record)
    if ends is None:
        dearest = max(told["not_known"], key=lambda one: Decimal(one["cost_usd"]), default={"why": "not known"})
        return Step(label, told["lever"], 0.0, told=dearest["why"])
    low, high = (float(end) for end in ends)
    return Step(label, told["lever"], low, high - low, f"{MINUS}{_range(*ends)}" if high else "")


def _over_time(record: Record) -> Markup:
    steps, step_s = record["spent"]["steps"], record["spent"]["step_s"]
    if len({one["at"] for one in steps}) < 2:
        return Markup("")
    by_route: defaultdict[str, list[Record]] = defaultdict(list)
    for one in steps:
        by_route[one["route"]].append(one)
    dearest = sorted(by_route.items(), key=lambda found: -sum(Decimal(one["cost_usd"]) for one in found[1]))
    span, unit = span_of([one["at"] for one in steps], step_s), "an hour" if step_s < DAY_S else "a day"
    pairs = []
    for route, some in dearest[:_SHOWN]:
        paid = [Point(one["at"], float(one["cost_usd"]) * one["of_all"]) for one in some]
        rates = [
            Point(one["at"], 1e6 * float(one["cost_usd"]) / one["tokens"])
            for one in some
            if one["tokens"] and Decimal(one["cost_usd"])
        ]
        pairs.append(
            element(
                "div",
                element("h3", route),
                small(f"$ {unit}", line(f"{route}: cost", paid, span, "cost")),
                small("$ for a million tokens", line(f"{route}: cost per token", rates, span, "cost")),
                class_="pair",
            )
        )
    of_sample = "What was drawn of each day stands for all of it." if record["sample"] and step_s >= DAY_S else ""
    told = [note(of_sample)] if of_sample else []
    return section(f"Cost over time, by {record['by']}", *told, element("div", *pairs, class_="pairs"), _left(dearest))


def _two_numbers(record: Record) -> Markup:
    """Cost per token beside cost per good answer, of routes with labels."""
    found = record["spent"]["cost_per_success"]
    if not found:
        return Markup("")
    sums: defaultdict[str, list[Decimal]] = defaultdict(lambda: [_ZERO, _ZERO])
    for one in record["spent"]["steps"]:
        sums[one["route"]][0] += Decimal(one["cost_usd"])
        sums[one["route"]][1] += one["tokens"]
    rows = [
        (route, dollars(cost * 1_000_000 / tokens) if tokens else "-", *_good_cells(found[route]))
        for route, (cost, tokens) in sorted(sums.items(), key=lambda pair: -pair[1][0])
        if route in found
    ]
    return section(
        "A token, and a good answer",
        note(
            "Cost per token falls when a cheaper model answers, even if its answers are useless; cost per good answer "
            "does not. Of calls that the logs label; the interval takes an hour as its unit: logs name no session."
        ),
        table((record["by"].capitalize(), "$ for a million tokens", "$ for a thousand good answers", "95 %"), rows),
    )


def _good_cells(told: Record) -> tuple[str, str]:
    if told["cost_per_success_withheld"]:
        return "withheld", str(told["cost_per_success_withheld"])
    value, low, high = (dollars(1000 * Decimal(told[f"cost_per_success{end}_usd"])) for end in ("", "_low", "_high"))
    return value, f"{low} to {high}"


def _left(found: Sequence[object]) -> Markup:
    more = len(found) - _SHOWN
    return note(f"{more} more with lower cost are in the table below.") if more > 0 else Markup("")


def _reuse(record: Record) -> Markup:
    shown = [one for one in record["reuse_gaps"] if one["visits"]]
    if not shown:
        return Markup("")
    shown.sort(key=lambda one: -one["visits"])
    panels = [element("div", element("h3", one["route"]), small(_seen(one), _gaps(one))) for one in shown[:_SHOWN]]
    return section(
        "How soon a prefix is seen again",
        note(
            "A cache entry pays where its prefix comes back within its lifetime: 5 minutes, or an hour at twice the "
            "price of plain input (Anthropic), 30 minutes (OpenAI). What comes back later was written for nothing. "
            "Counted is every block of a prompt at which an entry could end."
        ),
        element("div", *panels, class_="panels"),
        key((("within 5 minutes", "prompt_cache", True), ("within the hour", "cost", True))),
        _left(shown),
    )


def _seen(one: Record) -> str:
    again = sum(one["again"].values())
    return f"{percent(again / one['visits'], 0)} of {count(one['visits'])} visits were followed by another in an hour"


def _gaps(one: Record) -> Markup:
    edges = [(int(edge), seen) for edge, seen in one["again"].items()]
    shown = [
        Column(f"{edge // 60} min", seen / one["visits"], "prompt_cache" if edge <= 300 else "cost")
        for edge, seen in edges
    ]
    return columns(f"{one['route']}: time until a prefix is seen again", shown)


def _similar(record: Record) -> Markup:
    found = [(one, told) for one in record["lines"] if (told := one["projections"]["semantic_cache"].get("similar"))]
    found = [(one, told) for one, told in found if told["looked_at"] > told["alone"]]
    if not found:
        return Markup("")
    found.sort(key=lambda pair: -pair[1]["looked_at"])
    panels = [
        element("div", element("h3", _name(one, record)), small(_looked_up(told), _curve(_name(one, record), told)))
        for one, told in found[:_SHOWN]
    ]
    return section(
        "How similar a question is to those before it",
        note(
            "The share of the questions that had an earlier one at least so similar, with its 95 % interval. Similar "
            "is not the same: nobody has judged these, so nothing similar is served before a calibration has shown on "
            f"the route's own traffic that at most {percent(found[0][1]['max_wrong'], 0)} of such answers are wrong."
        ),
        element("div", *panels, class_="panels"),
        _left(found),
    )


def _looked_up(told: Record) -> str:
    hits, least = told["hits"], told["judged_hits_needed"][0]
    rate = f"{told['looked_at']:,} questions looked up; {hits:,} served by the strict rule"
    days = told["days_to_judge_them"]
    return f"{rate}; {least} judged hits take {days[0]:,.0f} days at least" if days else rate


def _curve(name: str, told: Record) -> Markup:
    points = [Share(*point) for point in told["by_similarity"]]
    return shares(f"{name}: similarity of the nearest earlier question", points, "semantic_cache")


def _name(one: Record, record: Record) -> str:
    return f"{one[record['by']]}, {short_model(one['model'])}" if record["by"] != "model" else str(one["model"])


def _differences(record: Record) -> Markup:
    found = record["differences"]
    if not found:
        return Markup("")
    rows = [
        (one[record["by"]], one["in_words"], one.get("fix") or "",
         f"{one['times']:,}", count(one["tokens"]), dollars(Decimal(one["cost_usd"] or 0)))
        for one in found[:12]
    ]  # fmt: skip
    lost = sum((Decimal(one["cost_usd"] or 0) for one in found), _ZERO)
    title = f"Where like prompts part: {dollars(lost)} in this log" if lost else "Where like prompts part"
    return section(title, table((record["by"].capitalize(), "What differs first", "What helps", "Times", "Tokens",
                                 "Cost"), rows, texts=3))  # fmt: skip


def _lines(record: Record) -> Markup:
    if not record["lines"]:
        return Markup("")
    levers = [lever for lever in LEVERS if any(lever.name in one["projections"] for one in record["lines"])]
    by, cost = record["by"], "cost_a_month_usd" if _monthly(record) else "cost_usd"
    head = (
        by.capitalize(),
        "Model",
        "Calls",
        "Cost",
        *(f"{lever.number} {short_title(lever.title)}" for lever in levers),
    )
    rows = [
        (
            str(one[by]),
            short_model(one["model"]),
            f"{one['calls']:,}",
            "no price" if one[cost] is None else dollars(Decimal(one[cost])),
            *(_cell(one["projections"].get(lever.name, {}), record) for lever in levers),
        )
        for one in record["lines"]
    ]
    return section(f"Every {by} and model, {_span_word(record)}", table(head, rows, texts=2))


def _cell(told: Record, record: Record) -> str:
    ends = _ends(told, record)
    return str(told.get("not_known") or "-") if ends is None else _range(*ends)


def _told(record: Record) -> Markup:
    left = [
        f"{'Not read' if one['damaged'] else 'Left out'}: {one['rows']:,} rows, {one['reason']} (first {one['first']})."
        for one in record["left_out"]
    ]
    return section(
        "What this rests on, and what is not known",
        items((*record["notes"], *left)),
        folded("Assumptions of lever 1", items(record["assumptions"])) if record["assumptions"] else "",
    )
