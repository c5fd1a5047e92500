"""`fivelevers report`: what each route, arm, team, key, tag or model cost, and what a successful answer cost."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.cli.report_reading import read_lines, read_proof, read_told
from fivelevers.cli.tables import per_success_record, report_table, usd
from fivelevers.errors import LedgerError
from fivelevers.metering.cost import rounded
from fivelevers.metering.interval import Withheld
from fivelevers.metering.measured import Measured, Saving
from fivelevers.metering.report import GroupBy, Line
from fivelevers.pages.month_page import month_page
from fivelevers.pages.report_page import report_page
from fivelevers.switch import ANY, Switch

_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def report(
    *,
    by: Annotated[GroupBy, typer.Option(help="One line for each ...")] = GroupBy.ROUTE,
    since: Annotated[str, typer.Option(help="A span such as 24h or 7d, or a date such as 2026-11-01.")] = "all",
    month: Annotated[str, typer.Option(help="One month, such as 2026-11; with --html its proof on one sheet.")] = "",
    format_: Annotated[Format, typer.Option("--format", help="For people, programs or spreadsheets.")] = Format.TABLE,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page, one file that opens offline.")] = None,
    state_dir: StateDir = STATE_DIR,
    ledger: LedgerUrl = "",
) -> None:
    """What the traffic cost, what it had cost without us, and what a successful answer cost.

    Reads the ledger, after taking in what finished or killed proxies left in the spool of the state directory.
    """
    try:
        _check(since, month, format_, html)
        start, end = of_month(month) if month else (parse_since(since, now=time.time()), inf)
        url = ledger_url(ledger, state_dir)
        if html is not None:
            told = read_told(state_dir, url, by, start, end)
            html.write_text(month_page(told) if month else report_page(told), encoding="utf-8")
            return
        lines = read_lines(state_dir, url, by, start, end)
        measured, retreats = read_proof(state_dir, url, start, end) if by is GroupBy.ROUTE else ([], [])
    except (LedgerError, OSError, ValueError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers report: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if format_ is Format.TABLE:
        Console().print(report_table(lines, by, measured, retreats))
    elif format_ is Format.JSON:
        print(json.dumps(_records(lines, by, measured, retreats), indent=2))  # noqa: T201
    else:
        print(_csv(_records(lines, by, measured, retreats)), end="")  # noqa: T201


def _check(since: str, month: str, format_: Format, html: Path | None) -> None:
    """Raises ValueError where one option would be read and another not."""
    if month and since != "all":
        raise ValueError("--month and --since name two periods; give one of them")
    if html is not None and format_ is not Format.TABLE:
        raise ValueError(f"--html writes a page, --format {format_.value} prints rows; give one of them")


def parse_since(text: str, now: float) -> float:
    """Seconds since the epoch. Raises ValueError on what is neither a span nor a date."""
    if text == "all":
        return 0.0
    span = re.fullmatch(r"(\d{1,9})([mhdw])", text)
    if span:
        return now - int(span[1]) * _UNITS_S[span[2]]
    try:
        date = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"--since: {text!r} is neither a span nor a date; write 24h, 7d or 2026-11-01") from error
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def of_month(text: str) -> tuple[float, float]:
    """The month's beginning and end (UTC), seconds since the epoch. Raises ValueError."""
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        after = (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"--month: {text!r} is no month; write 2026-11") from error
    return first.timestamp(), after.timestamp()


def _records(lines: list[Line], by: GroupBy, measured: list[Measured], retreats: list[Switch]) -> list[dict[str, Any]]:
    records = [_record(line, by) for line in lines]
    if by is GroupBy.ROUTE:
        told = {one.route: one for one in measured}
        for record, line in zip(records, lines, strict=True):
            back = {one.lever: one.reason for one in retreats if one.route in (ANY, line.group)}
            record |= {**_measured(told.get(line.group)), "retreated": back}
    return records


def _measured(one: Measured | None) -> dict[str, Any]:
    known = one.saving if one and isinstance(one.saving, Saving) else None
    return {
        "measured_saved_usd": usd(known.usd) if known else None,
        "measured_saved_low_usd": usd(known.low_usd) if known else None,
        "measured_saved_high_usd": usd(known.high_usd) if known else None,
        "measured_saved_withheld": one.saving.detail if one and isinstance(one.saving, Withheld) else None,
        "modelled_saved_usd": usd(one.modelled_usd) if one else None,
        "modelled_disagrees": one.disagrees if one else None,
        "holdout_requests": one.holdout.requests if one else 0,
        "holdout_cost_usd": usd(one.holdout.cost) if one else "0",
        "holdout_forgone_usd": usd(one.forgone_usd) if one else "0",
    }


def _record(line: Line, by: GroupBy) -> dict[str, Any]:
    totals, per_token = line.totals, line.usd_per_million_tokens
    return {
        by.value: line.group,
        "requests": totals.requests,
        "attempts": totals.attempts,
        "tokens": totals.usage.total,
        **{f"{kind.value}_tokens": count for kind, count in totals.usage.items()},
        "cost_usd": usd(totals.cost),
        "list_cost_usd": usd(totals.list_cost),
        "cost_without_us_usd": usd(totals.cost_without_us),
        "saved_usd": usd(totals.saved),
        "savings": {f"{lever}/{basis}": usd(amount) for lever, basis, amount in line.savings},
        "usd_per_million_tokens": None if per_token is None else usd(rounded(per_token)),
        "successes": totals.successes,
        "failures": totals.failures,
        "unknown": totals.requests - totals.known,
        "coverage": round(line.coverage, 4),
        **per_success_record(line.cost_per_success),
        "failure_cost_usd": usd(totals.failure_cost),
        "waste": {waste.kind.value: usd(waste.usd) for waste in line.waste},
        "unpriced_attempts": totals.unpriced,
        "estimated_attempts": totals.estimated,
        "estimated_cost_usd": usd(totals.estimated_cost),
    }


def _csv(records: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    flat = [{key: json.dumps(v) if isinstance(v, dict) else v for key, v in row.items()} for row in records]
    writer = csv.DictWriter(out, fieldnames=list(flat[0]) if flat else ["requests"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()
