"""How an audit's projection of lever 4 looks: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from fivelevers.audit.lines import Ends, Line
from fivelevers.audit.projections import Projections
from fivelevers.audit.routing import EPSILON, TO_CERTIFY, TO_FIT, Shown, Unknown, labelled
from fivelevers.cli.logs import Pass
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.tables import money, short, table

_PROMPTS = TO_FIT + TO_CERTIFY
_ASSUMED = (
    "The cheaper model answers in as many tokens, and levers 1 to 3 act there as here. The low end is 0: who got which "
    "model may not have been chance."
)


def routing_table(lines: list[Line], told: Projections, done: Pass, by: str) -> Table:
    title = "Lever 4, cost-aware routing: what a cheaper model could answer as well"
    shown = table(title, by, "model", "labelled", "left", "benchmark", "saving a month")
    for line in lines:
        found = told.routed(line)
        most = (a_month(told.left(line), done), found.benchmark_usd())
        cells = (f"{found.labelled:,}", *(money(ends[1]) if ends else "-" for ends in most))
        shown.add_row(line.route, short(line.model), *cells, _saving_words(told.by_routing(line), done))
    return shown


def _saving_words(saving: Ends | Unknown, done: Pass) -> str:
    if isinstance(saving, Unknown):
        return saving.value
    month = a_month(saving, done)
    return "one moment" if month is None else in_words(month)


def routing_notes(lines: list[Line], told: Projections, done: Pass) -> Iterator[str]:
    """What the table does not say: what it would take to know, and what was assumed."""
    found = [told.routed(line) for line in lines]
    if not any(line.left for line in found):
        return
    if not labelled(found):
        yield "No row says whether an answer was good (outcome, or boolean scores): what routing would save is unknown."
    shown = [(line, made) for line in found if isinstance(made := told.routing.shown(line), Shown)]
    for line, made in shown:
        yield (
            f"{line.route}: {short(made.model)} was good {made.difference:+.1%} against {short(line.model)} (at least "
            f"{made.least:+.1%}), for {made.share:.0%} of the price. A hint: `fivelevers route benchmark` proves it."
        )
    yield (
        f"To know takes {_PROMPTS:,} prompts on each candidate: {TO_FIT:,} to fit, {TO_CERTIFY:,} to certify a loss of "
        f"at most {100 * EPSILON:.0f} points. benchmark: that many at the line's tokens, twice, since a candidate may "
        "be as dear; a judge comes on top, where no check tells. left: a month, at most, after levers 1 to 3."
    )
    yield from _too_slow(lines, told, done)
    if shown:
        yield f"Assumed: {_ASSUMED}"


def _too_slow(lines: list[Line], told: Projections, done: Pass) -> Iterator[str]:
    if not done.span_s:
        return
    for line in lines:
        a_month_ = told.routed(line).left * float(done.month or 0)
        if 0 < a_month_ < _PROMPTS:
            yield f"{line.route}, {short(line.model)}: at this rate a month has {a_month_:,.0f} prompts."


def routing_record(line: Line, told: Projections, done: Pass) -> dict[str, Any]:
    found, saving = told.routed(line), told.by_routing(line)
    made = told.routing.shown(found)
    known = None if isinstance(saving, Unknown) else saving
    return {
        "calls_left": found.left,
        "labelled_good": found.good,
        "labelled_bad": found.bad,
        "left_usd": as_json(told.left(line)),
        "left_a_month_usd": as_json(a_month(told.left(line), done)),
        "as_good": _shown_record(made) if isinstance(made, Shown) else None,
        "benchmark_prompts": _PROMPTS,
        "benchmark_usd": as_json(found.benchmark_usd()),
        "saving_usd": as_json(known),
        "saving_a_month_usd": as_json(a_month(known, done)),
        "not_known": saving.value if isinstance(saving, Unknown) else None,
    }


def _shown_record(made: Shown) -> dict[str, Any]:
    share = float(round(made.share, 6))
    return {"model": made.model, "cost_share": share, "difference": made.difference, "difference_least": made.least}
