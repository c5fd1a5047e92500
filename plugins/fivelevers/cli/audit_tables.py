"""How an audit looks in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.audit.audit import Audit
from fivelevers.audit.bills import Bills
from fivelevers.audit.blocks import of_all
from fivelevers.audit.calls import DAMAGE, Account
from fivelevers.audit.calls import Text as Kept
from fivelevers.audit.lines import ACTS_ON, ZERO, Line
from fivelevers.audit.projections import Projections
from fivelevers.audit.sample import Groups
from fivelevers.audit.spending import Spending
from fivelevers.audit.steps import steps
from fivelevers.cli.answer_tables import answer_notes, answer_record, answer_table
from fivelevers.cli.batch_tables import batch_notes, batch_record, batch_table
from fivelevers.cli.bill_tables import bill_notes, bill_records, bill_table
from fivelevers.cli.difference_tables import difference_records, difference_tables
from fivelevers.cli.logs import Pass
from fivelevers.cli.routing_tables import routing_notes, routing_record, routing_table
from fivelevers.cli.sample_tables import Sampled, sample_notes, sample_record
from fivelevers.cli.savings import a_month, as_json, in_words
from fivelevers.cli.step_tables import steps_record, steps_table
from fivelevers.cli.tables import money, per_success_record, short, table, usd
from fivelevers.cli.waste_tables import waste_notes, waste_records, waste_table
from fivelevers.levers.prompt_cache.reuse import EDGES_S, Gaps

_TOO_SHORT_S = 86_400.0
_WHY_NO_TEXT = {
    Kept.ABSENT: "have no prompt in the log (LiteLLM: store_prompts_in_spend_logs, or a logging callback)",
    Kept.TRUNCATED: "have a prompt that LiteLLM cut (raise MAX_STRING_LENGTH_PROMPT_IN_DB)",
    Kept.REDACTED: "have a prompt that LiteLLM redacted",
    Kept.PARTIAL: "have a prompt of which the log holds a part alone (images, a system prompt in blocks)",
    Kept.SEALED: "have content that is encrypted with a key that is not here",
}
_ASSUMPTIONS = (
    "An entry lives for its lifetime from its last read on, and can be read once the call that wrote it was sent.",
    "Calls would have come as they came, and no other lever or setting acts.",
    "Tokens within a prompt are spread over it by its characters.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit found, ``by`` route or another group. ``groups``: of a sample."""

    made: Audit
    done: Pass
    by: str
    groups: Groups | None = None
    bills: Bills = field(default_factory=Bills)

    def sampled(self) -> Sampled | None:
        if self.groups is None:
            return None
        whole = steps(self.made.lines(), self.made.projections())
        return Sampled(whole, self.groups.errors(whole, self.done.account.share), self.done)


def audit_tables(found: Found, *, show_text: bool) -> RenderableType:
    """What the logs tell, what the levers had made of it, where prompts part, and what is not known."""
    made, done, by = found.made, found.done, found.by
    lines, levers, parts = made.lines(), made.projections(), list[RenderableType]()
    if lines:
        parts += [steps_table(steps(lines, levers), done), *_texts(sample_notes(found.sampled()))]
        parts += [_told_table(lines, by)]
        parts += [_projection_table(lines, done, by), answer_table(lines, levers, done, by)]
        parts += [batch_table(lines, levers, done, by), routing_table(lines, levers, done, by)]
    if (waste := waste_table(made, by)) is not None:
        parts.append(waste)
    if (billed := bill_table(found.bills)) is not None:
        parts.append(billed)
    sums = made.differences.tally.sums()
    if sums:
        examples = made.differences.examples if show_text else {}
        parts += [difference_tables(sums, by, examples=examples), Text()]
    of_levers = (*_found(lines), *_not_known(lines, done), *_assumed(lines), *answer_notes(made.answers, done))
    of_levers = (*of_levers, *batch_notes(lines, levers.batch), *routing_notes(lines, levers, done))
    bills = bill_notes(found.bills, made, done)
    notes = (*_period(done), *bills, *waste_notes(made, done.account.drawn), *of_levers, *_account(done.account))
    return Group(*parts, *(Text(note) for note in notes))


def _texts(notes: Iterable[str]) -> list[RenderableType]:
    shown: list[RenderableType] = [Text(note) for note in notes]
    return [*shown, Text()] if shown else []


def _told_table(lines: list[Line], by: str) -> Table:
    shown = table("What the logs tell", by, "model", "calls", "prompt", "read", "written", "unread", "cost")
    for line in lines:
        tokens = line.usage
        written = tokens.cache_write_5m + tokens.cache_write_1h
        shares = (_share(tokens.cache_read, tokens.prompt), _share(written, tokens.prompt))
        wasted = f"{_tokens(line.never_read)}" if written else "-"
        cost = money(line.cost_usd) if line.priced else "no price"
        shown.add_row(line.route, short(line.model), f"{line.calls:,}", _tokens(tokens.prompt), *shares, wasted, cost)
    return shown


def _projection_table(lines: list[Line], done: Pass, by: str) -> Table:
    title = "Lever 1, provider prompt cache: what went in, as it was paid and marked"
    shown = table(title, by, "model", "calls", "paid", "marked", "saving a month")
    for line in lines:
        projected, saving = line.projected, a_month(line.saving, done)
        if saving is None:
            shown.add_row(line.route, short(line.model), "-", money(line.input_usd), "-", _why_not(line))
            continue
        amounts = (money(projected.paid), money(projected.marked), in_words(saving))
        shown.add_row(line.route, short(line.model), f"{projected.calls:,}", *amounts)
    return shown


def _why_not(line: Line) -> str:
    """Why there is no figure, in a few words."""
    return "one moment" if line.saving is not None else line.why_not


def _period(done: Pass) -> Iterator[str]:
    if not done.account.calls:
        return
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (done.first, done.last))
    yield f"Calls from {first} to {last} UTC; a month is 30 days at this rate."
    if done.span_s < _TOO_SHORT_S:
        yield "That is less than a day: days and nights differ, so take the figures of a month as a hint alone."


def _found(lines: list[Line]) -> Iterator[str]:
    """What the numbers of the log say beside what is in the tables."""
    below = sum(line.below_minimum for line in lines)
    if below:
        yield f"Below their model's minimum for caching: {below:,} calls."
    priced = [line for line in lines if line.logged_usd]
    ours, theirs = (
        sum((line.cost_usd for line in priced), ZERO),
        sum((line.logged_usd or ZERO for line in priced), ZERO),
    )
    if theirs and abs(ours - theirs) > theirs / 100:
        yield f"The log says {money(theirs)} where these prices say {money(ours)}: --prices takes what you really pay."


def _not_known(lines: list[Line], done: Pass) -> Iterator[str]:
    texts = done.account.texts
    for kept, why in _WHY_NO_TEXT.items():
        if texts.get(kept):
            yield f"Not known: {texts[kept]:,} calls {why}: which of their prefixes repeat."
    blind = [line for line in lines if line.style in ACTS_ON and line.no_text and not line.projected.calls]
    at_most = sum((line.at_most_usd for line in blind), ZERO)
    if at_most:
        yield f"At most {money(at_most)} of their {money(_input(blind))} could be saved, were every token a cache read."
    unpriced = sorted({_named(line) for line in lines if line.priced < line.calls})
    if unpriced:
        yield f"No price is known for all calls of {', '.join(unpriced)}: state it (--prices)."


def _named(line: Line) -> str:
    return f"{line.model} ({line.provider})" if line.provider else line.model


def _assumed(lines: list[Line]) -> Iterator[str]:
    projected = [line for line in lines if line.projected.calls and line.style in ACTS_ON]
    if not projected:
        return
    paid, replayed = (
        sum((getattr(line.projected, name) for line in projected), ZERO) for name in ("paid", "as_it_was")
    )
    if paid:
        told = f"the replay says that the calls as they were had cost {money(replayed)}; paid was {money(paid)}"
        yield f"Check: {told} ({(replayed - paid) / paid:+.1%})."
    yield "Assumed: " + " ".join(_ASSUMPTIONS)


def _account(account: Account) -> Iterator[str]:
    yield f"{account.rows:,} rows, {account.calls:,} calls."
    for reason, left in sorted(account.left.items(), key=lambda item: -item[1].rows):
        what = "Not read" if reason in DAMAGE else "Left out"
        yield f"{what}: {left.rows:,} x {reason.value} (the first: {left.first})."


def audit_record(found: Found, *, show_text: bool) -> dict[str, Any]:
    """All of it, ready for JSON: what `--json` prints and the page is drawn from."""
    made, done, by = found.made, found.done, found.by
    levers, lines = made.projections(), made.lines()
    tally = made.differences.tally
    examples = made.differences.examples if show_text else {}
    return {
        "by": by,
        "period": {"first": done.first, "last": done.last, "seconds": done.span_s} if done.account.calls else None,
        "rows": done.account.rows,
        "calls": done.account.calls,
        "sample": sample_record(found.sampled()),
        "left_out": [
            {"reason": reason.value, "rows": left.rows, "first": left.first, "damaged": reason in DAMAGE}
            for reason, left in done.account.left.items()
        ],
        "prompts": {kept.value: count for kept, count in done.account.texts.items()},
        "in_order": {"all": steps_record(steps(lines, levers), done), f"{by}s": _by_route(lines, levers, done)},
        "lines": [_record(line, levers, done, by) for line in lines],
        "spent": _spent_record(made.spending, done.account),
        "waste": waste_records(made, by),
        "bills": bill_records(found.bills, made, done),
        "reuse_gaps": [_gaps_record(route, gaps) for route, gaps in made.prefixes.gaps().items()],
        "differences": difference_records(tally.sums(), by, examples),
        "assumptions": [*_ASSUMPTIONS] if any(line.saving for line in lines) else [],
        "notes": [
            *sample_notes(found.sampled()),
            *bill_notes(found.bills, made, done),
            *waste_notes(made, done.account.drawn),
            *(*_found(lines), *_not_known(lines, done)),
            *(*answer_notes(levers.answers, done), *batch_notes(lines, levers.batch)),
            *routing_notes(lines, levers, done),
        ],
    }


def _by_route(lines: list[Line], levers: Projections, done: Pass) -> dict[str, Any]:
    routes = dict.fromkeys(line.route for line in lines)
    return {route: steps_record(steps((one for one in lines if one.route == route), levers), done) for route in routes}


def _spent_record(spending: Spending, account: Account) -> dict[str, Any]:
    """``of_all``: by what a step's amounts are multiplied where a sample has a part of its blocks."""
    step_s, steps = spending.steps()
    told = [
        {
            "route": one.route,
            "at": one.at,
            "calls": one.calls,
            "tokens": one.tokens,
            "cost_usd": usd(one.usd),
            "labelled": one.known,
            "good": one.good,
            "of_all": of_all(account.blocks, account.share, one.at, step_s),
        }
        for one in steps
    ]
    per_success = {route: per_success_record(value) for route, value in spending.per_success().items()}
    return {"step_s": step_s, "steps": told, "cost_per_success": per_success}


def _gaps_record(route: str, gaps: Gaps) -> dict[str, Any]:
    """Prefixes are counted at each of their blocks; ``again`` by the end of the gap, in seconds."""
    return {"route": route, "visits": gaps.visits, "again": dict(zip(EDGES_S, gaps.again, strict=True))}


def _record(line: Line, levers: Projections, done: Pass, by: str) -> dict[str, Any]:
    saving, month, told = line.saving, a_month(line.saving, done), line.projected
    cost = as_json(a_month((line.cost_usd, line.cost_usd), done)) if line.priced else None
    return {
        by: line.route,
        "model": line.model,
        "calls": line.calls,
        "priced_calls": line.priced,
        "calls_without_prompt": line.no_text,
        "calls_below_minimum": line.below_minimum,
        **{f"{kind.value}_tokens": count for kind, count in line.usage.items()},
        "prompt_tokens": line.usage.prompt,
        "cost_usd": usd(line.cost_usd) if line.priced else None,
        "cost_a_month_usd": cost[0] if cost else None,
        "input_usd": usd(line.input_usd) if line.priced else None,
        "logged_usd": None if line.logged_usd is None else usd(line.logged_usd),
        "never_read_tokens": line.never_read,
        "never_read_usd": usd(line.never_read_usd),
        "projections": {
            "prompt_cache": {
                "style": line.style.value,
                "calls": told.calls,
                "marks": told.marks,
                "prompt_tokens": told.prompt,
                "reusable_tokens": told.reusable,
                "paid_usd": usd(told.paid),
                "replayed_usd": usd(told.as_it_was),
                "marked_usd": usd(told.marked),
                "saving_usd": as_json(saving),
                "saving_a_month_usd": as_json(month),
                "at_most_usd": usd(line.at_most_usd),
                "not_known": _why_not(line) if month is None else None,
            },
            "semantic_cache": answer_record(line, levers, done),
            "batch": batch_record(line, levers, done),
            "routing": routing_record(line, levers, done),
        },
    }


def _input(lines: Iterable[Line]) -> Decimal:
    return sum((line.input_usd for line in lines), ZERO)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _tokens(count: int) -> str:
    return f"{count / 1e6:,.2f} M" if count >= 1e5 else f"{count:,}"
