"""How the bills beside a log look: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from rich.table import Table

from fivelevers.audit.audit import Audit
from fivelevers.audit.bills import Beside, Bill, Bills, beside
from fivelevers.cli.logs import Pass
from fivelevers.cli.tables import money, short, table, usd
from fivelevers.metering.exports.lines import DAY_S, day_of

_SHOWN = 12
_ALIKE = 0.05
"""By what share log and bill may differ and still be said to agree: list prices, and calls around midnight."""


def bill_table(found: Bills) -> Table | None:
    """What each bill tells by model, the dearest first; None where there is none."""
    rows = [(bill, model) for bill in found.read for model in bill.models]
    if not rows:
        return None
    shown = table("What the bills tell", "bill", "model", "prompt", "read", "tokens", "cost")
    for bill, one in rows[:_SHOWN]:
        read = f"{one.read / one.prompt:.0%}" if one.prompt and one.read is not None else "-"
        cost = "-" if one.usd is None else money(one.usd)
        shown.add_row(bill.export.source, short(one.model), _count(one.prompt), read, _count(one.tokens), cost)
    if len(rows) > _SHOWN:
        shown.caption = f"{len(rows) - _SHOWN} more: --json has them all."
    return shown


def _count(tokens: int | None) -> str:
    return "-" if tokens is None else f"{tokens:,}"


def bill_notes(found: Bills, made: Audit, done: Pass) -> Iterator[str]:
    """How much of each bill the log's calls come to."""
    for why in found.unread:
        yield f"A bill that was not read: {why}."
    for bill in found.read:
        yield _noted(bill, _beside(bill, made, done), done)
        if bill.other_usd:
            yield f"{bill.export.source}: {money(bill.other_usd)} of it is for no tokens, and no lever's."
        if bill.export.cut:
            yield f"{bill.export.source}: the file is not the last page of the export."


def _beside(bill: Bill, made: Audit, done: Pass) -> Beside | None:
    return beside(bill, made.days, done.first, done.last) if done.account.drawn == done.account.calls else None


def _noted(bill: Bill, told: Beside | None, done: Pass) -> str:
    export, account = bill.export, done.account
    name = f"{export.source}, {_days(day_of(export.start), export.last_day)}"
    if not account.calls:
        return f"{name}: a bill has sums, and levers are projected over calls: add a log of these days."
    if account.drawn < account.calls:
        return f"{name}: not held against a sample of the log."
    if told is None:
        return f"{name}: no day of it is in the log, or it is of several providers."
    if told.share is None:
        return f"{name}: nothing was charged on the days of the log."
    part = "" if told.whole else ", of which the log may hold a part alone"
    ours = f"{bill.export.provider} calls ({told.share:.0%})"
    days = _days(day_of(told.first * DAY_S), day_of(told.until * DAY_S - 1))
    return f"{name}: {_amounts(told, ours)} {days}{part}. {' '.join(_compared(told))}"


def _days(first: date, last: date) -> str:
    return f"on {first}" if first == last else f"from {first} to {last}"


def _amounts(told: Beside, ours: str) -> str:
    if told.billed_usd is None:
        return f"it counts {told.billed_tokens:,} tokens, and the log {told.tokens:,} of {ours}"
    return f"it says {money(told.billed_usd)}, and the log {money(told.usd)} of {ours}"


def _compared(told: Beside) -> Iterator[str]:
    share, in_usd = told.share or 0.0, told.billed_usd is not None
    if told.unpriced and in_usd:
        yield f"{told.unpriced:,} of {told.calls:,} calls have no price here."
    if share < 1 - _ALIKE:
        yield "What levers save on the rest is in no figure here: it is not in these logs."
    elif share <= 1 + _ALIKE:
        yield "They agree."
    elif in_usd:
        yield "You pay less than these prices, or others paid for some calls: savings are as much smaller (--prices)."
    else:
        yield "Some calls of the log are of another account, or the export leaves some keys out."


def bill_records(found: Bills, made: Audit, done: Pass) -> list[dict[str, Any]]:
    return [_record(bill, _beside(bill, made, done)) for bill in found.read]


def _record(bill: Bill, told: Beside | None) -> dict[str, Any]:
    export = bill.export
    return {
        "source": export.source,
        "provider": export.provider,
        "first_day": str(day_of(export.start)),
        "last_day": str(export.last_day),
        "usd": _usd(bill.usd),
        "other_usd": usd(bill.other_usd),
        "models": [
            {
                "model": one.model,
                "prompt_tokens": one.prompt,
                "cache_read_tokens": one.read,
                "tokens": one.tokens,
                "usd": _usd(one.usd),
            }
            for one in bill.models
        ],
        "beside_the_log": None if told is None else _beside_record(told),
    }


def _beside_record(told: Beside) -> dict[str, Any]:
    first, last = day_of(told.first * DAY_S), day_of(told.until * DAY_S - 1)
    return {
        "first_day": str(first),
        "last_day": str(last),
        "whole_days": told.whole,
        "billed_usd": _usd(told.billed_usd),
        "billed_tokens": told.billed_tokens,
        "log_calls": told.calls,
        "log_unpriced_calls": told.unpriced,
        "log_usd": usd(told.usd),
        "log_tokens": told.tokens,
        "log_share_of_bill": told.share,
    }


def _usd(amount: Decimal | None) -> str | None:
    return None if amount is None else usd(amount)
