"""How a benchmark looks in a terminal, before it asks anything and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fivelevers.cli.savings import in_words
from fivelevers.cli.tables import money, short, table, usd
from fivelevers.route_benchmark.agreement import Agreement
from fivelevers.route_benchmark.replies import Ended, Reply
from fivelevers.route_benchmark.run import Benchmark, Labelled

_TOLD_AT_MOST = 3  # causes of one kind
_NO_VERDICT = "no verdict: the judge contradicted itself, an answer is too long for it, or no check applies"
_FEW = 0.9  # of the judge's verdicts, the share that should agree with people


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a benchmark: of ``prompts``, what was asked, and how the judge stands beside people.

    ``out``: where the labelled prompts were written; None: they were not.
    """

    made: Benchmark
    done: Sequence[Labelled]
    prompts: int
    agreement: Agreement | None = None
    out: str | None = None

    @property
    def whole(self) -> list[Labelled]:
        return [one for one in self.done if one.whole]

    def why_not(self) -> Counter[str]:
        """Of the prompts without a line, the first cause of each."""
        return Counter(_why(one) for one in self.done if not one.whole)


def forecast(made: Benchmark, calls: int, known: int, ends: tuple[Decimal, Decimal], judging: str) -> Iterator[str]:
    """What will be spent, before it is."""
    budget = made.calls.budget
    before = f", {known:,} of them answered before" if known else ""
    yield f"{calls:,} calls of {', '.join(one.alias for one in made.candidates)}{before}."
    what = "Asking the rest" + (f" and judging by {judging}" if judging else "")
    yield f"{what} costs {in_words(ends)}, from short prompts and answers to long ones."
    spent = f"; {money(budget.taken_usd)} of it is spent" if budget.taken_usd else ""
    yield f"Budget: {money(budget.limit_usd)}{spent}."
    if ends[1] > budget.limit_usd - budget.taken_usd:
        yield "It may not be enough: then it ends, and goes on with a higher --budget-usd."


def tables(result: Result) -> RenderableType:
    shown = table("What the models answered", "model", "prompts", "right", "failed", "tokens in", "out", "cost")
    for candidate in result.made.candidates:
        replies = [one.replies[candidate.name] for one in result.done]
        right = [one.right[candidate.name] for one in result.whole]
        share = f"{sum(map(bool, right)) / len(right):.1%}" if right else "-"
        failed = sum(reply.ended is Ended.FAILED for reply in replies)
        spent = sum((reply.usd for reply in replies), Decimal(0))
        counts = (f"{sum(reply.tokens[at] for reply in replies):,}" for at in (0, 1))
        shown.add_row(short(candidate.name), f"{len(right):,}", share, f"{failed:,}", *counts, money(spent))
    return Group(shown, *(Text(note) for note in _notes(result)))


def _notes(result: Result) -> Iterator[str]:
    budget, whole = result.made.calls.budget, result.whole
    yield "right: of the prompts that all models have a label of. failed: refused, filtered or cut off."
    for why, count in result.why_not().most_common(_TOLD_AT_MOST):
        yield f"Left out: {count:,} prompts ({why})."
    live = sum(not reply.lane for one in result.done for reply in one.replies.values()) if result.made.batch else 0
    if live:
        yield f"{live:,} answers came live: the proxy did not take them into the batch lane, or asked late ones live."
    if result.agreement is not None:
        yield from _agreement(result.agreement)
    unheard = f"; at most {money(budget.unheard_usd)} more for calls that gave no answer" if budget.unheard_usd else ""
    yield f"Spent: {money(budget.spent_usd)} of {money(budget.limit_usd)}{unheard}."
    if result.made.spent:
        missing = result.prompts - len(result.done)
        yield f"The budget ended it: {missing:,} of {result.prompts:,} prompts are missing; raise --budget-usd."
    if result.out is not None:
        yield f"Written: {result.out} ({len(whole):,} labelled prompts)."


def _agreement(found: Agreement) -> Iterator[str]:
    low, high = found.interval
    open_ = f"; it contradicted itself about {found.asked - found.decided:,}" if found.asked > found.decided else ""
    yield (
        f"The judge agrees with people on {found.agreed:,} of {found.decided:,} answers ({low:.1%} to {high:.1%}); "
        f"it passed {found.lenient:,} that people fail and failed {found.strict:,} that people pass{open_}."
    )
    if high < _FEW:
        yield "That is little: mend the rubric, or take another judge, before you route by these labels."


def _why(one: Labelled) -> str:
    bad: Sequence[Reply] = [reply for reply in one.replies.values() if reply.ended in (Ended.CUT, Ended.LEFT_OUT)]
    return bad[0].why if bad else _NO_VERDICT


def record(result: Result) -> dict[str, Any]:
    """As JSON."""
    budget, agreed = result.made.calls.budget, result.agreement
    return {
        "prompts": result.prompts,
        "asked": len(result.done),
        "labelled": len(result.whole),
        "left_out": dict(result.why_not()),
        "models": {one.name: _model(result, one.name) for one in result.made.candidates},
        "calls": result.made.calls.asked,
        "spent_usd": usd(budget.spent_usd),
        "unheard_usd_at_most": usd(budget.unheard_usd),
        "budget_usd": usd(budget.limit_usd),
        "budget_ended_it": result.made.spent,
        "judge": agreed
        and {
            "asked": agreed.asked,
            "decided": agreed.decided,
            "agreed": agreed.agreed,
            "agreed_95": list(agreed.interval),
            "lenient": agreed.lenient,
            "strict": agreed.strict,
        },
        "out": result.out,
    }


def _model(result: Result, name: str) -> dict[str, Any]:
    replies = [one.replies[name] for one in result.done]
    return {
        "right": sum(one.right[name] is True for one in result.whole),
        "of": len(result.whole),
        "failed": sum(reply.ended is Ended.FAILED for reply in replies),
        "cost_usd": usd(sum((reply.usd for reply in replies), Decimal(0))),
    }
