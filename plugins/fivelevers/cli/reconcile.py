"""`fivelevers reconcile`: the ledger against a provider's own export, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.export_tables import as_csv, as_json, comparison_table
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.errors import ExportError, LedgerError
from fivelevers.metering.exports.compare import By, compare
from fivelevers.metering.exports.lines import Books, Export, combined
from fivelevers.metering.reconcile import TOLERANCE
from fivelevers.providers.cost_exports.read import Format, read


class ReportFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def reconcile(
    *,
    provider_export: Annotated[
        list[Path],
        typer.Option(help="What OpenAI, Anthropic or LiteLLM exports; again for its pages, or for usage and costs."),
    ],
    format_: Annotated[Format, typer.Option("--format", help="Whose export it is.")] = Format.AUTO,
    since: Annotated[str, typer.Option(help="UTC date or time such as 2026-11-01; default: all of the export.")] = "",
    until: Annotated[str, typer.Option(help="UTC date or time, exclusive.")] = "",
    by: Annotated[By, typer.Option(help="One row for each ...")] = By.DAY,
    key: Annotated[
        list[str] | None, typer.Option(help="Only this API key, project or workspace of the export; repeatable.")
    ] = None,
    ledger_key: Annotated[
        str, typer.Option(help="Only this provider key's fingerprint, or caller's key hash, of the ledger.")
    ] = "",
    tolerance: Annotated[str, typer.Option(help="Share of the export by which both may differ.")] = str(TOLERANCE),
    report_format: Annotated[ReportFormat, typer.Option(help="For people, programs or spreadsheets.")] = (
        ReportFormat.TABLE
    ),
    state_dir: StateDir = STATE_DIR,
    ledger: LedgerUrl = "",
) -> None:
    """Hold the ledger against a provider's export: differences by day, model and kind of token, with likely causes.

    Exit code 0: every model, day and kind agrees within the tolerance; 1: it does not; 2: it could not be told.
    """
    try:
        share = _share(tolerance)
        export = _export(provider_export, format_, key or (), _moment("--since", since), _moment("--until", until))
        books = _books(state_dir, ledger_url(ledger, state_dir), export, ledger_key or None)
    except (ExportError, LedgerError, OSError, ValueError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers reconcile: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    told = compare(export, books, share)
    if report_format is ReportFormat.TABLE:
        Console().print(comparison_table(told, by))
    else:
        print(as_json(told, by) if report_format is ReportFormat.JSON else as_csv(told, by), end="")  # noqa: T201
    raise typer.Exit(0 if told.agrees else 1)


def _export(files: Iterable[Path], format_: Format, keys: Iterable[str], since: float, until: float) -> Export:
    whole = combined([read(file.read_bytes(), file.name, format_) for file in files])
    export = whole.within(since, until)
    if export.start >= export.until:
        raise ValueError("--since, --until: no day is left; all export files and both dates must have days in common")
    wanted = frozenset(keys)
    unknown = wanted - export.keys
    if unknown:
        known = ", ".join(sorted(export.keys)) or "none; group it by API key or project"
        raise ExportError.of("--key", min(unknown), "is not in the export", f"it names {known}")
    return export.of_keys(wanted) if wanted else export


def _books(state_dir: Path, url: str, export: Export, key: str | None) -> Books:
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.meter import Meter
    from fivelevers.stores.daily_query import books
    from fivelevers.stores.ledger import Ledger

    Meter(state_dir, url).drain()
    ledger = Ledger(url)
    try:
        ledger.create()
        return books(ledger, export.start, export.until, provider=export.provider, key=key)
    finally:
        ledger.close()


def _moment(option: str, text: str) -> float:
    """Seconds since the epoch; an absent one is no limit."""
    if not text:
        return -inf if option == "--since" else inf
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{option}: {text!r} is no ISO date or time; write 2026-11-01") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"--tolerance: {text!r} is not a number; write 0.001 for 0.1 %") from error
    if not 0 <= share < 1:
        raise ValueError(f"--tolerance: {text} is not in 0..1; write 0.001 for 0.1 %")
    return share
