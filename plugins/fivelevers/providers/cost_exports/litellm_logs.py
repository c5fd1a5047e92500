"""LiteLLM's own spend logs: rows of the table LiteLLM_SpendLogs, as JSON, JSON lines or CSV.

Sources: `model LiteLLM_SpendLogs` in litellm/proxy/schema.prisma of 1.106.2, and docs.litellm.ai, "Spend Tracking" (GET
/spend/logs). Tokens by kind are in `metadata.usage_object`, LiteLLM's usage of the call, JSON text in the table;
`prompt_tokens` holds cached and written ones too. `spend` is of the whole call, so dollars are not told by kind. A row
that its answer cache served (`cache_hit`) is on no provider's bill.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fivelevers.metering.exports.lines import DAY_S, Export, Line
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.rows import Row, Table

_Group = tuple[float, str, str, tuple[str, ...]]


def parse(table: Table) -> Export:
    """Summed by day, provider, model and keys. Raises ExportError on a field that can not be read."""
    tokens: defaultdict[tuple[_Group, Kind], int] = defaultdict(int)
    usd: defaultdict[_Group, Decimal] = defaultdict(Decimal)
    billed = [row for row in table.rows if (row.text("cache_hit") or "").lower() != "true"]
    for row in billed:
        group, spend = _group(row), row.usd("spend")
        for kind, count in _usage(row).items():
            if count:
                tokens[group, kind] += count
        if spend:
            usd[group] += spend
    counted = [Line(at, by, model, kind, n, keys=keys) for ((at, by, model, keys), kind), n in tokens.items()]
    priced = [Line(at, by, model, None, usd=amount, keys=keys) for (at, by, model, keys), amount in usd.items()]
    days = [_day(row) for row in table.rows]
    return Export("LiteLLM spend logs", None, min(days), max(days) + DAY_S, (*counted, *priced))


def _day(row: Row) -> float:
    """The ledger keeps an attempt on the day on which it ended; so is a row here."""
    return row.at("endTime", "startTime") // DAY_S * DAY_S


def _group(row: Row) -> _Group:
    model = row.text("model") or ""
    prefix, slash, rest = model.partition("/")
    provider = row.text("custom_llm_provider") or (prefix if slash else "unknown")
    keys = tuple(key for name in ("api_key", "team_id") if (key := row.text(name)) is not None)
    return _day(row), provider, rest if slash and prefix == provider else model, keys


def _usage(row: Row) -> dict[Kind, int]:
    prompt, output = row.tokens("prompt_tokens"), row.tokens("completion_tokens")
    told = Row(row.place, _mapping(row, _mapping(row, row.values.get("metadata")).get("usage_object")))
    details = Row(row.place, _mapping(row, told.values.get("prompt_tokens_details")))
    by_ttl = Row(row.place, _mapping(row, details.values.get("cache_creation_token_details")))
    read = details.tokens("cached_tokens") or told.tokens("cache_read_input_tokens")
    write_1h = by_ttl.tokens("ephemeral_1h_input_tokens")
    written = details.tokens("cache_creation_tokens", "cache_write_tokens")
    written = written or told.tokens("cache_creation_input_tokens")
    plain = prompt - read - max(written, write_1h)
    if plain < 0:
        raise row.error("prompt_tokens", prompt, "is less than its cached part", "use the rows as the table holds them")
    return {
        Kind.INPUT: plain,
        Kind.CACHE_READ: read,
        Kind.CACHE_WRITE_5M: max(written - write_1h, 0),
        Kind.CACHE_WRITE_1H: write_1h,
        Kind.OUTPUT: output,
    }


def _mapping(row: Row, value: object) -> Mapping[str, Any]:
    """An object, or the JSON text of one; empty where there is none."""
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError as error:
            raise row.error("metadata", value, "is no JSON", "use the rows as the table holds them") from error
    return value if isinstance(value, Mapping) else {}
