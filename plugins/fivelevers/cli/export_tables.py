"""How the comparison with a provider's export looks: in a terminal, as JSON, as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.cli.tables import money, usd
from fivelevers.metering.exports.causes import Finding
from fivelevers.metering.exports.compare import By, Comparison, Row
from fivelevers.metering.exports.lines import renamed


def comparison_table(told: Comparison, by: By) -> RenderableType:
    """Tokens first, then dollars, then why; it fits 80 columns."""
    rows, parts = told.rows(by), [Text(_period(told))]
    tables: list[RenderableType] = []
    if told.knows.tokens:
        tables.append(_table("Tokens", by, [(r, r.ledger_tokens, r.export_tokens) for r in rows], _count))
    if told.knows.usd:
        tables.append(_table("Dollars", by, [(r, r.ledger_usd, r.export_usd) for r in rows], money))
    notes = [*(Text(f"- {_words(finding)}") for finding in told.findings), *map(Text, _notes(told))]
    agrees = "The ledger agrees with the export." if told.agrees else "The ledger does NOT agree with the export."
    verdict = Text(agrees, style="bold green" if told.agrees else "bold red")
    return Group(*parts, *tables, *notes, verdict)


def as_json(told: Comparison, by: By) -> str:
    document = {
        "agrees": told.agrees,
        "export": told.export.source,
        "from": _iso(told.export.start),
        "until": _iso(told.export.until),
        "by": by.value,
        "rows": [_record(row, by) for row in told.rows(by)],
        "findings": [_finding(finding) for finding in told.findings],
        "estimated_attempts": told.estimated,
        "charges_without_tokens": [{"what": c.what, "usd": usd(c.usd)} for c in told.export.charges],
        "notes": list(_notes(told)),
    }
    return json.dumps(document, indent=2) + "\n"


def as_csv(told: Comparison, by: By) -> str:
    """The rows; each with the causes that were found for its day or model."""
    out = io.StringIO()
    fields = [by.value, "ledger_tokens", "export_tokens", "ledger_usd", "export_usd", "agrees", "causes"]
    writer = csv.DictWriter(out, fieldnames=fields, lineterminator="\n")
    writer.writeheader()
    for row in told.rows(by):
        causes = dict.fromkeys(f.cause.value for f in told.findings if not row.agrees and _about(f, row.group, by))
        writer.writerow({**_record(row, by), "causes": "; ".join(causes)})
    return out.getvalue()


def _about(finding: Finding, group: str, by: By) -> bool:
    if by is By.DAY:
        return group in map(str, finding.days)
    return by is By.KIND or group == f"{finding.provider}/{finding.model}"


def _table(title: str, by: By, sides: list[tuple[Row, Any, Any]], shown: Callable[[Any], str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column(by.value, overflow="fold")  # a long model wraps, a number never does
    for name in ("ledger", "export", "difference", "%"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row, ours, theirs in sides:
        known = ours is not None and theirs is not None
        gap = [_signed(theirs - ours, shown), _share(theirs - ours, theirs)] if known else ["", ""]
        verdict = Text("agrees", style="green") if row.agrees else Text("differs", style="red")
        table.add_row(
            row.group, *("unknown" if side is None else shown(side) for side in (ours, theirs)), *gap, verdict
        )
    return table


def _count(tokens: int) -> str:
    return f"{tokens:,}"


def _signed(gap: Any, shown: Callable[[Any], str]) -> str:
    return "0" if not gap else f"{'+' if gap > 0 else '-'}{shown(abs(gap))}"


def _share(gap: Any, theirs: Any) -> str:
    return f"{100 * Decimal(gap) / Decimal(theirs):+.2f}" if theirs and gap else ""


def _words(finding: Finding) -> str:
    days = finding.days
    when = str(days[0]) if len(days) == 1 else f"{days[0]} ... {days[-1]} ({len(days)} days)"
    gaps = [f"{kind} {count:+,}" for kind, count in finding.tokens.items()]
    if finding.usd:
        gaps.append(_signed(finding.usd, money))
    amount = f" [{', '.join(gaps)}]" if gaps else ""
    return f"{finding.provider}/{finding.model}, {when}: {finding.cause}{amount}. {_sentence(finding.detail)}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _notes(told: Comparison) -> Iterator[str]:
    export = told.export
    if told.estimated:
        yield f"{told.estimated} attempts with tokens of our own count are on no side: no provider told their usage."
    for what in dict.fromkeys(charge.what for charge in export.charges):
        total = sum((charge.usd for charge in export.charges if charge.what == what), Decimal(0))
        yield f"Charges that are not for tokens, left out: {what} {money(total)}."
    names = renamed(export.lines)
    if names:
        yield f"Compared under plain names: {', '.join(f'{name} as {plain}' for name, plain in sorted(names.items()))}."
    rounding = sum((line.rounding_usd for line in export.lines), Decimal(0))
    if rounding:
        yield f"The export rounds its dollars: its sum may be off by {money(rounding)}, which counts as agreement."
    if not told.knows.tokens or not told.knows.usd:
        other = "dollars" if told.knows.tokens else "tokens"
        yield f"The export tells no {other}: give the {'cost' if told.knows.tokens else 'usage'} export too."
    if not told.knows.models:
        yield "The export does not tell models apart: group it by model (costs: by line item or description)."
    if export.cut:
        yield "The export is one page of several (has_more): fetch the others and name them too."


def _period(told: Comparison) -> str:
    return f"The ledger against {told.export.source}, {_iso(told.export.start)} to {_iso(told.export.until)}"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _record(row: Row, by: By) -> dict[str, Any]:
    return {
        by.value: row.group,
        "ledger_tokens": row.ledger_tokens,
        "export_tokens": row.export_tokens,
        "ledger_usd": None if row.ledger_usd is None else usd(row.ledger_usd),
        "export_usd": None if row.export_usd is None else usd(row.export_usd),
        "agrees": row.agrees,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause.value,
        "provider": finding.provider,
        "model": finding.model,
        "days": [str(day) for day in finding.days],
        "tokens": {kind.value: count for kind, count in finding.tokens.items()},
        "usd": None if finding.usd is None else usd(finding.usd),
        "detail": finding.detail,
    }
