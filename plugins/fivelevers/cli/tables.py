"""How the report and the comparison with the bill look in a terminal."""

from __future__ import annotations

from decimal import Decimal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.metering.interval import CostPerSuccess, Withheld
from fivelevers.metering.reconcile import Reconciliation, Verdict, Why
from fivelevers.metering.report import GroupBy, Line
from fivelevers.order import LEVERS


def usd(amount: Decimal) -> str:
    """All digits, without an exponent."""
    return f"{amount:f}"


def money(amount: Decimal) -> str:
    """Dollars as people read them: four decimals below ten dollars."""
    return f"${amount:,.4f}" if abs(amount) < 10 else f"${amount:,.2f}"


def report_table(lines: list[Line], by: GroupBy) -> RenderableType:
    """Two tables that fit 80 columns: what the traffic cost, and what a token and a good answer cost."""
    if not lines:
        return Text("The ledger holds nothing for this period. Send some traffic through the proxy first.")
    spent = _table("What it cost", by.value, "requests", "tokens", "cost", "without us", "saved", "list", "waste")
    unit = _table("What a unit cost", by.value, "$/M tokens", "$/successful output", "95 %", "good", "bad", "unknown")
    for line in lines:
        spent.add_row(*_spent(line))
        unit.add_row(*_unit(line))
    return Group(spent, unit, *_notes(lines))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left", overflow="fold")
    return table


def _spent(line: Line) -> list[str]:
    totals = line.totals
    waste = sum((waste.usd for waste in line.waste), Decimal(0))
    amounts = (totals.cost, totals.cost_without_us, totals.saved, totals.list_cost, waste)
    return [line.group, f"{totals.requests:,}", f"{totals.usage.total:,}", *(money(amount) for amount in amounts)]


def _unit(line: Line) -> list[str]:
    totals, per_token, per_success = line.totals, line.usd_per_million_tokens, line.cost_per_success
    counts = (f"{count:,}" for count in (totals.successes, totals.failures, totals.requests - totals.known))
    known = isinstance(per_success, CostPerSuccess)
    return [
        line.group,
        f"{per_token:.3f}" if per_token is not None else "-",
        f"{per_success.usd:.5f}" if known else "withheld",
        f"{per_success.low_usd:.5f} - {per_success.high_usd:.5f}" if known else "",
        *counts,
    ]


def _notes(lines: list[Line]) -> list[Text]:
    notes = [_saved_note(lines)]
    for line in lines:
        if isinstance(line.cost_per_success, Withheld):
            notes.append(Text(f"{line.group}: $/successful output is withheld: {line.cost_per_success.detail}."))
    failure = sum((line.totals.failure_cost for line in lines), Decimal(0))
    if failure:
        notes.append(
            Text(f"$ per successful output includes {money(failure)} of failure_cost_usd (policy), on no bill.")
        )
    estimated = sum(line.totals.estimated for line in lines)
    if estimated:
        cost = sum((line.totals.estimated_cost for line in lines), Decimal(0))
        notes.append(
            Text(f"{estimated} attempts have estimated usage ({money(cost)}): no provider reported their tokens.")
        )
    unpriced = sum(line.totals.unpriced for line in lines)
    if unpriced:
        notes.append(Text(f"{unpriced} attempts have no known price and are in no sum; state it in the override file."))
    return notes


def _saved_note(lines: list[Line]) -> Text:
    sums: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        for lever, basis, amount in line.savings:
            sums[lever, basis] = sums.get((lever, basis), Decimal(0)) + amount
    titles = {lever.name: f"{lever.number} {lever.title}" for lever in LEVERS}
    parts = [f"{titles[lever]} {money(amount)} {basis}" for (lever, basis), amount in sums.items()]
    return Text("Saved by lever: " + ("; ".join(parts) if parts else "nothing, no lever acts on this traffic."))


def reconciliation_table(told: Reconciliation) -> RenderableType:
    columns = ("provider key", "model", "tokens", "diff", "ledger", "bill", "verdict")
    table = _table("The ledger against the provider's bill", *columns)
    for row in told.rows:
        ours, theirs = (sum(pair[side] for pair in row.tokens.values()) for side in (0, 1))
        amounts = ("unknown" if side is None else money(side) for side in (row.ledger_usd, row.bill_usd))
        style = "green" if row.verdict is Verdict.AGREED else "red"
        verdict = Text(row.verdict.value, style=style)
        table.add_row(
            row.key, row.model, f"{ours:,}", f"{ours - theirs:+,}" if ours != theirs else "0", *amounts, verdict
        )
    return Group(table, *_alone_notes(told))


def _alone_notes(told: Reconciliation) -> list[Text]:
    notes = []
    for why in Why:
        alone = [entry.entry for entry in told.bill_alone if entry.why is why]
        if alone:
            total = money(sum((entry.usd for entry in alone), Decimal(0)))
            names = ", ".join(entry.id for entry in alone[:3]) + (" ..." if len(alone) > 3 else "")
            notes.append(Text(f"On the bill alone, {why.value}: {len(alone)} calls, {total} ({names})"))
    words = (
        "agrees with the bill within 0.1 % for every key and model" if told.agreed else "does NOT agree with the bill"
    )
    notes.append(Text(f"The ledger {words}.", style="bold green" if told.agreed else "bold red"))
    return notes
