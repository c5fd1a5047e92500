"""What OpenAI exports: usage (completions, embeddings) and costs, as JSON of the admin API or CSV of the dashboard.

Sources: developers.openai.com/api/reference, "Usage": GET /organization/usage/completions, /usage/embeddings and
/organization/costs give pages of buckets (`start_time`, `end_time` in Unix seconds, UTC). `input_tokens` holds
`input_cached_tokens` and `input_cache_write_tokens`. Costs: `amount.value` in `amount.currency`; grouped by line item
`line_item` and `quantity`. docs.pelanor.io/integrations/services/openai and help.openai.com (8554956): the dashboard's
CSV has the same fields flat (`amount_value`, `amount_currency`, `line_item`), all times UTC.

Not in any reference, but seen alike in several real exports: a line item reads `gpt-4.1-2025-04-14, cached input`, with
`input`, `cached input`, `cache writes` or `output`, `priority | ` before and `, long context` after it. Any other line
item is a charge that is not for tokens. How a batch is named in a line item could not be confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fivelevers.metering.exports.lines import DAY_S, Charge, Export, Line
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.rows import Row, Table

PROVIDER: Final = "openai"
_ITEM: Final = re.compile(r"(?:\w+ \| )?(?P<model>.+?), (?P<kind>input|cached input|cache writes|output)(?:, .*)?")
_KINDS: Final = {
    "input": Kind.INPUT,
    "cached input": Kind.CACHE_READ,
    "cache writes": Kind.CACHE_WRITE_5M,
    "output": Kind.OUTPUT,
}


def parse(table: Table) -> Export:
    """Raises ExportError on a field that can not be read."""
    costs = not table.fields.isdisjoint({"amount", "amount_value"})
    rows = [_flat(row) for row in table.rows]
    told = [line for row in rows for line in (_costs(row) if costs else _usage(row))]
    lines = tuple(line for line in told if isinstance(line, Line))
    start = min(row.at("start_time") for row in rows)
    until = max(row.at("end_time") if row.text("end_time") else row.at("start_time") + DAY_S for row in rows)
    return Export(
        source="OpenAI costs" if costs else "OpenAI usage",
        provider=PROVIDER,
        start=start,
        until=until,
        lines=lines,
        charges=tuple(charge for charge in told if isinstance(charge, Charge)),
        tokens=not costs or any(line.tokens is not None for line in lines),
        usd=costs,
        quantities=costs,
        cut=table.cut,
    )


def _flat(row: Row) -> Row:
    amount = row.values.get("amount")
    if not isinstance(amount, dict):
        return row
    flat = {f"amount_{name}": amount.get(name) for name in ("value", "currency")}
    return Row(row.place, {**row.values, **flat})


def _usage(row: Row) -> Iterator[Line]:
    read, write = row.tokens("input_cached_tokens"), row.tokens("input_cache_write_tokens")
    plain = row.tokens("input_tokens") - read - write
    if plain < 0:
        raise row.error("input_tokens", plain + read + write, "is less than its cached part", "export it again")
    counts = {
        Kind.INPUT: plain,
        Kind.CACHE_READ: read,
        Kind.CACHE_WRITE_5M: write,
        Kind.OUTPUT: row.tokens("output_tokens"),
    }
    at, model, keys = row.at("start_time"), row.text("model"), _keys(row)
    for kind, tokens in counts.items():
        if tokens:
            yield Line(at, PROVIDER, model, kind, tokens, keys=keys)


def _costs(row: Row) -> Iterator[Line | Charge]:
    if row.text("amount_value") is None:
        return  # an empty day
    currency = row.text("amount_currency") or "usd"
    if currency.lower() != "usd":
        raise row.error("amount_currency", currency, "is not usd", "the ledger is in US dollars: export it in those")
    at, usd, item = row.at("start_time"), row.usd("amount_value"), row.text("line_item")
    match = _ITEM.fullmatch(item) if item else None
    if match is not None:
        tokens = row.tokens("quantity") if row.text("quantity") else None
        yield Line(at, PROVIDER, match["model"], _KINDS[match["kind"]], tokens, usd, keys=_keys(row))
    elif item:
        yield Charge(at, item, usd, keys=_keys(row))
    else:
        yield Line(at, PROVIDER, None, None, None, usd, keys=_keys(row))


def _keys(row: Row) -> tuple[str, ...]:
    names = ("api_key_id", "project_id", "project_name")
    return tuple(key for name in names if (key := row.text(name)) is not None)
