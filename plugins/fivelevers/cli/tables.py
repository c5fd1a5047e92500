"""How the report and the comparison with the bill look in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.metering.attribution import WasteKind
from fivelevers.metering.interval import CostPerSuccess, Withheld
from fivelevers.metering.measured import Measured, Saving
from fivelevers.metering.reconcile import Reconciliation, Verdict, Why
from fivelevers.metering.report import GroupBy, Line
from fivelevers.order import LEVERS
from fivelevers.pages.report_page import WASTE
from fivelevers.switch import Switch


def usd(amount: Decimal) -> str:
    """All digits that say something, without an exponent."""
    return f"{amount.normalize():f}"


def money(amount: Decimal) -> str:
    """Dollars as people read them: four decimals below ten dollars."""
    size = f"{abs(amount):,.4f}" if abs(amount) < 10 else f"{abs(amount):,.2f}"
    return f"-${size}" if amount < 0 else f"${size}"


def per_success_record(value: CostPerSuccess | Withheld) -> dict[str, str | None]:
    """Cost per successful output with its interval, or why it is withheld, for JSON."""
    known = value if isinstance(value, CostPerSuccess) else None
    return {
        "cost_per_success_usd": usd(known.usd) if known else None,
        "cost_per_success_low_usd": usd(known.low_usd) if known else None,
        "cost_per_success_high_usd": usd(known.high_usd) if known else None,
        "cost_per_success_withheld": value.detail if isinstance(value, Withheld) else None,
    }


def short(model: str) -> str:
    """A model without the date of its version, where columns are few."""
    return re.sub(r"-20\d{6}$|-20\d\d-\d\d-\d\d$", "", model)


def report_table(
    lines: list[Line], by: GroupBy, measured: Sequence[Measured] = (), retreats: Sequence[Switch] = ()
) -> RenderableType:
    """Tables that fit 80 columns: what the traffic cost, what a token and a good answer cost, what the holdout says."""
    if not lines:
        return Text("The ledger holds nothing for this period. Send some traffic through the proxy first.")
    spent = table("What it cost", by.value, "requests", "tokens", "cost", "without us", "saved", "waste")
    unit = table(
        "What a token and a good answer cost", by.value, "$/M tokens", "$/1k good", "(95 %)", "good", "bad", "unknown"
    )
    for line in lines:
        spent.add_row(*_spent(line))
        unit.add_row(*_unit(line))
    return Group(spent, unit, *_notes(lines), *_holdout(measured), *_retreat_notes(retreats))


def _holdout(measured: Sequence[Measured]) -> list[RenderableType]:
    if not measured:
        return []
    shown = table(
        "Saved, measured against the holdout", "route", "held out", "their cost", "measured", "(95 %)", "modelled"
    )
    for one in measured:
        known = one.saving if isinstance(one.saving, Saving) else None
        amounts = (
            (money(known.usd), f"({money(known.low_usd)} - {money(known.high_usd)})") if known else ("unknown", "")
        )
        style = "red" if one.disagrees else ""
        modelled = Text(money(one.modelled_usd), style=style)
        shown.add_row(one.route, f"{one.holdout.requests:,}", money(one.holdout.cost), *amounts, modelled)
    return [shown, *(Text(note) for one in measured for note in _holdout_notes(one))]


def _holdout_notes(one: Measured) -> Iterator[str]:
    if isinstance(one.saving, Withheld):
        yield f"{one.route}: nothing is measured: {one.saving.detail}."
    if one.disagrees:
        yield f"{one.route}: modelled and measured DISAGREE: look what changes beside the price of a request."
    if one.holdout.requests:
        cost, forgone = money(one.holdout.cost), money(abs(one.forgone_usd))
        way = "less" if one.forgone_usd >= 0 else "more"
        yield f"{one.route}: the holdout's requests cost {cost}; treated like the others, {forgone} {way}."


def _retreat_notes(retreats: Sequence[Switch]) -> Iterator[Text]:
    for one in retreats:
        at = datetime.fromtimestamp(one.at, UTC)
        text = (
            f"{one.lever} on {one.route} is back in shadow since {at:%Y-%m-%d %H:%M} UTC: {one.reason or 'no reason'}."
        )
        yield Text(text, style="red")


_TEXT = {"model", "paid to no use", "verdict", "what differs first"}


class _Plainly(Table):
    """Whose cells are what they are: a name may hold brackets, which Rich takes for its markup."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), **more)


def table(title: str, *columns: str) -> Table:
    made = _Plainly(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0)
    )
    for at, name in enumerate(columns):
        text = not at or name in _TEXT  # names give way before numbers do
        made.add_column(name, justify="left" if text else "right", no_wrap=not text, overflow="fold")
    return made


def _spent(line: Line) -> list[str]:
    totals = line.totals
    waste = sum((waste.usd for waste in line.waste), Decimal(0))
    amounts = (totals.cost, totals.cost_without_us, totals.saved, waste)
    return [line.group, f"{totals.requests:,}", _millions(totals.usage.total), *(money(amount) for amount in amounts)]


def _millions(tokens: int) -> str:
    return f"{tokens / 1e6:,.3f} M"


def _unit(line: Line) -> list[str]:
    totals, per_token = line.totals, line.usd_per_million_tokens
    counts = (f"{count:,}" for count in (totals.successes, totals.failures, totals.requests - totals.known))
    return [line.group, "-" if per_token is None else f"{per_token:.3f}", *_per_success(line.cost_per_success), *counts]


def _per_success(value: CostPerSuccess | Withheld) -> tuple[str, str]:
    """Dollars for a thousand successful outputs, and the interval."""
    if isinstance(value, Withheld):
        return "withheld", ""
    usd_1k, low, high = (f"{1000 * amount:.3f}" for amount in (value.usd, value.low_usd, value.high_usd))
    return usd_1k, f"({low} - {high})"


def _notes(lines: list[Line]) -> list[Text]:
    meaning = Text("good, bad, unknown: outcomes; $/1k good: dollars for a thousand successful outputs.")
    notes = [meaning, _saved_note(lines), *_waste_notes(lines), *_withheld_notes(lines)]
    failure = sum((line.totals.failure_cost for line in lines), Decimal(0))
    if failure:
        text = f"$/1k good includes {money(failure)} for failed answers (failure_cost_usd): on no bill."
        notes.append(Text(text))
    estimated = sum(line.totals.estimated for line in lines)
    if estimated:
        cost = sum((line.totals.estimated_cost for line in lines), Decimal(0))
        notes.append(Text(f"{estimated} attempts with estimated usage ({money(cost)}): no provider told their tokens."))
    unpriced = sum(line.totals.unpriced for line in lines)
    if unpriced:
        notes.append(Text(f"{unpriced} attempts have no known price and are in no sum: state it (FIVELEVERS_PRICES)."))
    return notes


def _withheld_notes(lines: list[Line]) -> list[Text]:
    found = [(line.group, line.cost_per_success) for line in lines]
    return [Text(f"{group}: $/1k good is withheld: {v.detail}.") for group, v in found if isinstance(v, Withheld)]


def _saved_note(lines: list[Line]) -> Text:
    sums: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        for lever, basis, amount in line.savings:
            sums[lever, basis] = sums.get((lever, basis), Decimal(0)) + amount
    titles = {lever.name: f"{lever.number} {lever.title}" for lever in LEVERS}
    parts = [f"{titles[lever]} {money(amount)} {basis}" for (lever, basis), amount in sums.items()]
    return Text("Saved by lever: " + ("; ".join(parts) if parts else "nothing, no lever acts on this traffic."))


def _waste_notes(lines: list[Line]) -> list[Text]:
    sums: dict[WasteKind, Decimal] = {}
    for waste in (waste for line in lines for waste in line.waste):
        sums[waste.kind] = sums.get(waste.kind, Decimal(0)) + waste.usd
    parts = [f"{WASTE[kind]} {money(amount)}" for kind, amount in sums.items() if amount]
    return [Text("Wasted: " + "; ".join(parts) + ".")] if parts else []


def reconciliation_table(told: Reconciliation) -> RenderableType:
    columns = ("provider key", "model", "tokens", "diff", "ledger", "bill", "verdict")
    shown = table("The ledger against the provider's bill", *columns)
    for row in told.rows:
        ours, theirs = (sum(pair[side] for pair in row.tokens.values()) for side in (0, 1))
        amounts = ("unknown" if side is None else money(side) for side in (row.ledger_usd, row.bill_usd))
        style = "green" if row.verdict is Verdict.AGREED else "red"
        verdict = Text(row.verdict.value, style=style)
        shown.add_row(
            row.key, row.model, f"{ours:,}", f"{ours - theirs:+,}" if ours != theirs else "0", *amounts, verdict
        )
    return Group(shown, *_alone_notes(told))


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
