"""How an audit's projection of lever 2 looks: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from fivelevers.audit.answer_lines import AnswerLine, total
from fivelevers.audit.duplicates import WAIT_S
from fivelevers.audit.lines import Line
from fivelevers.audit.projections import Projections
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.cli.logs import Pass
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.tables import short, table
from fivelevers.policy.levers import SemanticCacheSwitch

_DAY_S = 86_400.0
_MAX_WRONG: float = SemanticCacheSwitch.model_fields["max_wrong"].default
_TOLD_AT_MOST = 5  # lines whose hits get a sentence
_ASSUMED = (
    "Each call that lever 2 answers saves what it cost after lever 1, where that saves; at one end lever 1 stays as "
    "warm as it was, at the other it cools by the duplicates that are not sent. What judging costs is told apart."
)


def answer_table(lines: list[Line], told: Projections, done: Pass, by: str) -> Table:
    title = "Lever 2, semantic answer cache: what had been answered before"
    shown = table(title, by, "model", "same", "at once", "similar", "saving a month")
    for line in lines:
        found = told.answered(line)
        if found.may_be:
            saving = a_month(told.by_answers(line), done)
            cells = (f"{found.answered:,}", f"{found.at_once:,}", _similar(found), in_words(saving) if saving else "-")
        else:
            cells = ("-", "-", "-", told.why_no_answers(line))
        shown.add_row(line.route, short(line.model), *cells)
    return shown


def _similar(found: AnswerLine) -> str:
    rate = found.rate
    return "-" if rate is None else f"{rate[0]:.0%} ({100 * rate[1]:.0f}-{100 * rate[2]:.0f})"


def answer_notes(told: SemanticCacheAudit, done: Pass) -> Iterator[str]:
    """What the table does not say: what it rests on, and what is missing."""
    found = list(told.lines().values())
    if not total(found, "may_be"):
        return
    may_be, calls = total(found, "may_be"), total(found, "calls")
    if may_be < calls:
        yield f"Lever 2 may answer {may_be:,} of {calls:,} calls: not those that end in a tool's result, among others."
    yield from _of_duplicates(found)
    yield from _of_similar(told, found, done)
    if told.callers_unknown:
        yield f"{told.callers_unknown:,} calls name neither team nor key: taken for one tenant's."
    yield f"Assumed: {_ASSUMED}"


def _of_duplicates(found: list[AnswerLine]) -> Iterator[str]:
    if sampled := total(found, "sampled"):
        yield (
            f"Of the same, {sampled:,} had a temperature above 0 or none: in the high end alone, for routes that say "
            "`answers: any`."
        )
    if blind := total(found, "blind"):
        yield (
            f"Of the same, {blind:,} have no prompt in the log: in the high end alone, since tools, state or the "
            "temperature may forbid it."
        )
    if slow := total(found, "too_slow"):
        yield f"{slow:,} calls were the same as one that was on its way for more than {WAIT_S:.0f} s: nobody waits."
    if unknown := total(found, "unknown"):
        yield f"Not known: what {unknown:,} calls asked."


def _of_similar(told: SemanticCacheAudit, found: list[AnswerLine], done: Pass) -> Iterator[str]:
    if not told.similar:
        yield "Not known: which questions are the same in other words. It needs pip install 'fivelevers[minilm]'."
        return
    looked_at, asked = total(found, "looked_at"), total(found, "asked")
    if looked_at < asked:
        yield (
            f"Looked up were {looked_at:,} of {asked:,} questions, drawn by their hash: with all of them stored, more "
            "are similar."
        )
    alone = [line for line in found if line.alone > line.looked_at / 2]
    for line in sorted(alone, key=lambda line: -line.alone)[:_TOLD_AT_MOST]:
        yield (
            f"{line.route}, {short(line.model)}: {line.alone:,} of {line.looked_at:,} questions are alone with their "
            "system prompt, tools, parameters and history; an answer is given again within the same of these only."
        )
    hits = [line for line in found if line.similar.calls]
    for line in sorted(hits, key=lambda line: -line.similar.calls)[:_TOLD_AT_MOST]:
        yield f"{line.route}, {short(line.model)}: {_hits(line)}"
    if hits:
        yield from _missing(hits, done)


def _hits(line: AnswerLine) -> str:
    text = f"{line.similar.calls:,} of {line.looked_at:,} other questions had been given a similar one's answer"
    if line.compared:
        text += f"; in the log {line.agreed:,} of {line.compared:,} such answers are the same as the one given"
    return f"{text}."


def _missing(hits: list[AnswerLine], done: Pass) -> Iterator[str]:
    least, most, wrong = _judged()
    wish = f"at most {_MAX_WRONG:.0%} wrong takes {least} judged hits if none is wrong, {most} if {wrong} are"
    told = sorted(hits, key=lambda line: -line.similar.calls)[:_TOLD_AT_MOST]
    paces = [(line.route, days) for line in told if (days := _days(line, least, done)) is not None]
    times = [f"{route} {days:,.0f} to {days * most / least:,.0f} days" for route, days in paces]
    when = f" At this rate, in shadow: {', '.join(times)}." if times else ""
    yield (
        "That is by the strict rule that a route starts with; `fivelevers calibrate` finds its own. Nobody has judged "
        f"these hits, so nothing is promised, and nothing similar is served before: {wish}.{when}"
    )


def _judged() -> tuple[int, int, int]:
    """Hits that prove the default promise if none of them is wrong, and if so many are; how many that is."""
    from fivelevers.levers.semantic_cache.bound import needed
    from fivelevers.levers.semantic_cache.calibrate import STARTS_WITH

    return needed(0, _MAX_WRONG), needed(STARTS_WITH, _MAX_WRONG), STARTS_WITH


def _days(line: AnswerLine, judged: int, done: Pass) -> float | None:
    if not done.span_s:
        return None
    hits = line.similar.calls * line.asked / line.looked_at * done.of_all
    return max(judged / (hits / (done.span_s / _DAY_S)), 1.0)


def answer_record(line: Line, told: Projections, done: Pass) -> dict[str, Any]:
    found, saving = told.answered(line), told.by_answers(line)
    return {
        "calls_not_known": found.unknown,
        "calls_that_may_be_answered": found.may_be,
        "same": found.answered,
        "at_once": found.at_once,
        "at_once_too_slow": found.too_slow,
        "sampled": found.sampled,
        "without_prompt": found.blind,
        "similar": _similar_record(found, done) if found.rate is not None else None,
        "saving_usd": as_json(saving),
        "saving_a_month_usd": as_json(a_month(saving, done)),
    }


def _similar_record(found: AnswerLine, done: Pass) -> dict[str, Any]:
    share, low, high = found.rate or (0.0, 0.0, 1.0)
    least, most, _ = _judged()
    days = _days(found, least, done) if found.similar.calls else None
    return {
        "questions": found.asked,
        "looked_at": found.looked_at,
        "alone": found.alone,
        "hits": found.similar.calls,
        "rate": share,
        "rate_95": [low, high],
        "by_similarity": [[round(value, 6) for value in point] for point in found.curve()],
        "answers_compared": found.compared,
        "answers_the_same": found.agreed,
        "judged": 0,
        "max_wrong": _MAX_WRONG,
        "judged_hits_needed": [least, most],
        "days_to_judge_them": None if days is None else [days, days * most / least],
    }
