"""What Anthropic exports: usage and costs, as JSON of the Admin API or CSV of the Console.

Sources: platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages (`uncached_input_tokens`,
`cache_creation.ephemeral_5m_input_tokens`, `ephemeral_1h_input_tokens`, `cache_read_input_tokens`, `output_tokens`) and
.../admin/cost_report/retrieve (`amount` in cents as a decimal string, `token_type`, `cost_type`); buckets begin at
`starting_at`, UTC. support.anthropic.com (9534590) says that the Console exports both as CSV, but names no columns:
those below are alike in several real exports (`usage_date_utc`, `model_version`, `usage_input_tokens_no_cache` ...;
costs: `token_type`, `cost_usd`, models by their display names), where dollars are rounded to cents.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from fivelevers.metering.exports.lines import DAY_S, Charge, Export, Line
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.rows import Row, Table

PROVIDER: Final = "anthropic"
# (field of the Admin API, column of the Console's CSV)
_TOKENS: Final = {
    Kind.INPUT: ("uncached_input_tokens", "usage_input_tokens_no_cache"),
    Kind.CACHE_READ: ("cache_read_input_tokens", "usage_input_tokens_cache_read"),
    Kind.CACHE_WRITE_5M: ("ephemeral_5m_input_tokens", "usage_input_tokens_cache_write_5m"),
    Kind.CACHE_WRITE_1H: ("ephemeral_1h_input_tokens", "usage_input_tokens_cache_write_1h"),
    Kind.OUTPUT: ("output_tokens", "usage_output_tokens"),
}
_TOKEN_TYPES: Final = {
    "uncached_input_tokens": Kind.INPUT,
    "cache_read_input_tokens": Kind.CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": Kind.CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": Kind.CACHE_WRITE_1H,
    "output_tokens": Kind.OUTPUT,
    "input_no_cache": Kind.INPUT,
    "input_cache_read": Kind.CACHE_READ,
    "input_cache_write_5m": Kind.CACHE_WRITE_5M,
    "input_cache_write_1h": Kind.CACHE_WRITE_1H,
    "output": Kind.OUTPUT,
}
_HALF_A_CENT: Final = Decimal("0.005")


def parse(table: Table) -> Export:
    """Raises ExportError on a field that can not be read."""
    costs = not table.fields.isdisjoint({"amount", "cost_usd"})
    told = [line for row in table.rows for line in (_costs(row) if costs else _usage(row))]
    start, until = _span(table)
    return Export(
        source="Anthropic costs" if costs else "Anthropic usage",
        provider=PROVIDER,
        start=start,
        until=until,
        lines=tuple(line for line in told if isinstance(line, Line)),
        charges=tuple(charge for charge in told if isinstance(charge, Charge)),
        tokens=not costs,
        usd=costs,
        cut=table.cut,
    )


def _span(table: Table) -> tuple[float, float]:
    """A CSV says no end: its last day counts whole."""
    start = min(_at(row) for row in table.rows)
    last = max(_at(row) for row in table.rows)
    ends = [row.at("ending_at") for row in table.rows if row.text("ending_at")]
    return (start, max(ends)) if ends else (start // DAY_S * DAY_S, (last // DAY_S + 1) * DAY_S)


def _at(row: Row) -> float:
    return row.at("starting_at", "usage_date_utc")


def _usage(row: Row) -> Iterator[Line]:
    creation = row.values.get("cache_creation")
    flat = Row(row.place, {**row.values, **creation}) if isinstance(creation, dict) else row
    at, model, keys = _at(row), row.text("model", "model_version"), _keys(row)
    for kind, names in _TOKENS.items():
        tokens = flat.tokens(*names)
        if tokens:
            yield Line(at, PROVIDER, model, kind, tokens, keys=keys)


def _costs(row: Row) -> Iterator[Line | Charge]:
    if row.text("amount", "cost_usd") is None:
        return  # an empty day
    cents = row.text("amount") is not None
    usd = row.usd("amount") / 100 if cents else row.usd("cost_usd")
    currency = row.text("currency") or "USD"
    if currency.upper() != "USD":
        raise row.error("currency", currency, "is not USD", "the ledger is in US dollars: export it in those")
    kind = _TOKEN_TYPES.get(row.text("token_type") or "")
    if kind is None and (row.text("cost_type") or "tokens") not in ("tokens", "token"):
        yield Charge(_at(row), row.text("cost_type") or "", usd, keys=_keys(row))
        return
    yield Line(
        _at(row),
        PROVIDER,
        row.text("model"),
        kind,
        usd=usd,
        rounding_usd=Decimal(0) if cents else _HALF_A_CENT,
        keys=_keys(row),
    )


def _keys(row: Row) -> tuple[str, ...]:
    names = ("api_key_id", "api_key", "workspace_id", "workspace")
    return tuple(key for name in names if (key := row.text(name)) is not None)
