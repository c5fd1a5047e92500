"""OpenAI's lists: `limit` objects behind the one that `after` names."""

from examples.provider_simulator.errors import invalid
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import Json


def page(rows: list[Json], exchange: Exchange, *, limit: int = 20, most: int = 100) -> Json:
    """`rows` in the order of the list; `limit` where the caller gives none, `most` where it may give no more."""
    asked = exchange.request.query_params
    size, after = page_size(exchange, limit, most), asked.get("after")
    start = 0
    if after:
        start = 1 + next((index for index, row in enumerate(rows) if row["id"] == after), len(rows))
        if start > len(rows):
            raise invalid("after", f"no object with id '{after}'")
    shown = rows[start : start + size]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + size < len(rows),
    }


def page_size(exchange: Exchange, default: int, most: int) -> int:
    given = exchange.request.query_params.get("limit")
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= most:
        raise invalid("limit", f"{given!r} is not in 1..{most}")
    return int(given)
