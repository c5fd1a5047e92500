"""How an audit's projection of lever 3 looks: in a terminal, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.table import Table

from fivelevers.audit.batch_lines import DEADLINE_S, RESCUED, BatchLine, BatchLines, Caller, Sign, Waiting, total
from fivelevers.audit.lines import Line
from fivelevers.audit.projections import Projections
from fivelevers.cli.logs import Pass
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.tables import short, table

_HOUR_S = 3600
_TOLD_AT_MOST = 5  # callers that get a sentence
_IN_JSON_AT_MOST = 50  # callers of a line
_STAY = (
    ("no_batch_price", "have no price in batches"),
    ("other_api", "are of no API with batches"),
    ("other_tier", "asked for the flex or priority tier"),
)
_ASSUMED = (
    f"A batch reads nothing from a cache, and {RESCUED:.1%} of its requests are not done after "
    f"{DEADLINE_S / _HOUR_S:.0f} hours: asked again live and billed twice. Live calls cost what they cost after lever "
    "1, where that saves, and it stays as warm as it was."
)


def batch_table(lines: list[Line], told: Projections, done: Pass, by: str) -> Table:
    title = "Lever 3, batch lane: what may not need an answer at once"
    shown = table(title, by, "model", "waited", "may go", "signs", "saving a month")
    for line in lines:
        found = told.batched(line)
        saving = a_month(told.by_batches(line), done)
        counts = (found.waiting, found.total("may"), found.total("signed"))
        last = _why_not(found) if saving is None else in_words(saving)
        shown.add_row(line.route, short(line.model), *(f"{count:,}" for count in counts), last)
    return shown


def _why_not(found: BatchLine) -> str:
    """Why there is no figure, in a few words."""
    return "one moment" if found.total("may") else found.why_not


def batch_notes(lines: list[Line], told: BatchLines) -> Iterator[str]:
    """What the table does not say: the evidence, what it rests on, and what is missing."""
    callers = [caller for line in told.values() for caller in line.callers]
    yield from _signs(callers)
    yield from _left_alone(callers)
    if not total(callers, "may"):
        return
    yield from _not_known(callers)
    dearer = _dearer(lines, told)
    if dearer:
        yield f"For {dearer:,} calls that may go a batch is dearer than live: their prefix is warm after lever 1."
    yield (
        "Who waits no log tells: ask those who own these keys. The low end is the calls with a sign, all of a caller's "
        "or none; the high end every call that gains and nobody is seen to have waited for."
    )
    yield f"Assumed: {_ASSUMED}"


def _signs(callers: list[Caller]) -> Iterator[str]:
    signed = sorted((caller for caller in callers if caller.signed), key=lambda caller: -caller.sure.paid)
    for caller in signed[:_TOLD_AT_MOST]:
        who = f"{caller.route}, {short(caller.model)}, key {caller.key}" + (f", {caller.agent}" if caller.agent else "")
        found = ", ".join(_in_words(caller, sign) for sign in Sign if caller.signs[sign])
        yield f"{who}: of {caller.may:,} calls {found}; {caller.at_night / caller.may:.0%} at night or a weekend (UTC)."
    if len(signed) > _TOLD_AT_MOST:
        yield f"{len(signed) - _TOLD_AT_MOST:,} more callers have signs: --json has them."


def _in_words(caller: Caller, sign: Sign) -> str:
    detail = {
        Sign.NAMED: ", ".join(sorted(caller.words)),
        Sign.BURST: f"{caller.bursts:,}",
        Sign.CLOCK: "minute " + ", ".join(f"{minute:02}" for minute in sorted(caller.minutes)),
    }
    return f"{caller.signs[sign]:,} {sign.value}" + (f" ({detail[sign]})" if sign in detail else "")


def _left_alone(callers: list[Caller]) -> Iterator[str]:
    waits = sum((caller.waits for caller in callers), Counter[Waiting]())
    if waits:
        found = ", ".join(f"{waits[waiting]:,} {waiting.value}" for waiting in Waiting if waits[waiting])
        yield f"Somebody waited for {waits.total():,} calls: {found}."
    for name, why in _STAY:
        models = sorted({caller.model for caller in callers if getattr(caller, name)})
        if models:
            yield f"{total(callers, name):,} calls of {', '.join(models)} {why}: they stay live."


def _not_known(callers: list[Caller]) -> Iterator[str]:
    may = [caller for caller in callers if caller.may]
    if unknown := total(may, "streams_unknown"):
        yield f"Not known: whether {unknown:,} calls were streamed. They are in the high end."
    if blind := total(may, "prompts_unknown"):
        yield f"Not known: whether anybody replied to {blind:,} calls without a prompt. They are in the high end."
    if nameless := sum(caller.may for caller in may if not caller.agent):
        yield f"Not known: what program made {nameless:,} calls."


def _dearer(lines: list[Line], told: BatchLines) -> int:
    return sum(caller.dearer[line.marked_pays] for line in lines for caller in told[line.route, line.model].callers)


def batch_record(line: Line, told: Projections, done: Pass) -> dict[str, Any]:
    found, after, saving = told.batched(line), line.marked_pays, told.by_batches(line)
    callers = sorted(found.callers, key=lambda caller: -caller.saving(after_lever_1=after)[1])
    return {
        "calls_that_may_go": found.total("may"),
        "calls_waited_for": found.waiting,
        "calls_with_a_sign": found.total("signed"),
        "answered_by_lever_2": found.total("answered"),
        "perhaps_answered_by_lever_2": found.total("perhaps_answered"),
        "no_batch_price": found.total("no_batch_price"),
        "price_not_known": found.total("unpriced"),
        "other_api": found.total("other_api"),
        "other_service_tier": found.total("other_tier"),
        "dearer_in_batches": sum(caller.dearer[after] for caller in found.callers),
        "assumed_rescued": float(RESCUED),
        "callers": [_caller_record(caller, after=after) for caller in callers[:_IN_JSON_AT_MOST]],
        "callers_in_all": len(callers),
        "saving_usd": as_json(saving),
        "saving_a_month_usd": as_json(a_month(saving, done)),
        "not_known": _why_not(found) if saving is None else None,
    }


def _caller_record(caller: Caller, *, after: bool) -> dict[str, Any]:
    return {
        "key": caller.key,
        "program": caller.agent or None,
        "calls": caller.calls,
        "waited_for": {waiting.name.lower(): count for waiting, count in caller.waits.items()},
        "may_go": caller.may,
        "with_a_sign": caller.signed,
        "streaming_not_known": caller.streams_unknown,
        "replies_not_known": caller.prompts_unknown,
        "at_night_or_weekend_utc": caller.at_night,
        "signs": {sign.name.lower(): count for sign, count in caller.signs.items()},
        "words": sorted(caller.words),
        "bursts": caller.bursts,
        "clock_minutes": sorted(caller.minutes),
        "saving_usd": as_json(caller.saving(after_lever_1=after)),
    }
