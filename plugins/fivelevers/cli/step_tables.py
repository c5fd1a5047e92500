"""How an audit's first answer looks, lever by lever: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fivelevers.audit.lines import Ends
from fivelevers.audit.steps import HOLDOUT, Step, Steps
from fivelevers.cli.logs import Pass
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.tables import money, table, usd

ASSUMED = {
    "prompt_cache": "a replay of its decisions, from what was paid or, at the other end, from its own idea of that",
    "semantic_cache": "at least the same at temperature 0; at most those with any, and what is similar",
    "batch": "at least what has a sign that nobody waits; at most all that nobody is seen to have waited for",
    "routing": "at least nothing; at most all of a model that the labels show to be as good",
    "quantization": "on own servers alone, behind a gate",
}


def steps_table(told: Steps, done: Pass) -> RenderableType:
    """Of a month, or of the log where it is of one moment."""
    unit = "a month" if done.span_s else "in this log"
    paid = _shown((told.paid, told.paid), done)[0]
    title = f"{money(paid)} {unit}, lever by lever, each on what those before it left"
    shown = table(title, "lever", f"saves {unit}", "left", "to know, once")
    for step in told.steps:
        saves = in_words(_shown(step.saving, done)) if step.saving else step.why_not or "not known"
        once = money(step.to_prove[1]) if step.to_prove[1] else "-"
        name = f"{step.lever.number} {step.lever.title}"
        shown.add_row(name, saves, in_words(_shown(step.left, done)) if step.saving else "", once)
    if told.held_out[1]:
        held_out = _shown(told.held_out, done)
        cells = ("- Held out, as proof", in_words((-held_out[1], -held_out[0])))
        shown.add_row(*cells, in_words(_shown(told.left, done)), "")
    return Group(shown, *(Text(note) for note in _notes(told)), Text())


def _notes(told: Steps) -> Iterator[str]:
    for step in told.steps:
        if step.saving and step.saving[1]:
            yield f"{step.lever.number}: {ASSUMED[step.lever.name]}."
    if sum(bool(step.saving and step.saving[1]) for step in told.steps) > 1:
        yield "All low ends are one story, all high ends another: in neither a dollar is saved twice."
    if told.held_out[1]:
        yield f"Held out: {float(100 * HOLDOUT):g} % of the sessions, left alone, so that the saving is measured."
    if any(step.to_prove[1] for step in told.steps):
        yield "To know, once: the judging of lever 2 and the benchmark of lever 4, at most, at the lines' own prices."


def _shown(ends: Ends, done: Pass) -> Ends:
    return a_month(ends, done) or ends


def steps_record(told: Steps, done: Pass) -> dict[str, Any]:
    return {
        **_money("paid", (told.paid, told.paid), done),
        "steps": [_step_record(step, done) for step in told.steps],
        "holdout": float(HOLDOUT),
        **_money("held_out", told.held_out, done),
        **_money("left", told.left, done),
    }


def _step_record(step: Step, done: Pass) -> dict[str, Any]:
    return {
        "lever": step.lever.name,
        "number": step.lever.number,
        "title": step.lever.title,
        **_money("saving", step.saving, done),
        **_money("left", step.left, done),
        "not_known": [{"why": why, "cost_usd": usd(cost)} for why, cost in step.unknown.items()],
        "to_prove_usd": as_json(step.to_prove),
        "assumed": ASSUMED[step.lever.name],
    }


def _money(name: str, ends: Ends | None, done: Pass) -> dict[str, Any]:
    return {f"{name}_usd": as_json(ends), f"{name}_a_month_usd": as_json(a_month(ends, done))}
