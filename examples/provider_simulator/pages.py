"""OpenAI's lists: `limit` objects behind the one that `after` names."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from examples.provider_simulator.batch import Batch
from examples.provider_simulator.errors import invalid
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import Json
from examples.provider_simulator.files import StoredFile

Listed = TypeVar("Listed", Batch, StoredFile)


def page(
    objects: Sequence[Listed], show: Callable[[Listed], Json], exchange: Exchange, *, limit: int = 20, most: int = 100
) -> Json:
    """`objects` in the order of the list; `limit` where the caller gives none, `most` where it may give no more."""
    asked = exchange.request.query_params
    size, after = page_size(exchange, limit, most), asked.get("after")
    start = 0
    if after:
        start = 1 + next((index for index, one in enumerate(objects) if one.id == after), len(objects))
        if start > len(objects):
            raise invalid("after", f"no object with id '{after}'")
    shown = objects[start : start + size]
    return {
        "object": "list",
        "data": [show(one) for one in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": start + size < len(objects),
    }


def page_size(exchange: Exchange, default: int, most: int) -> int:
    given = exchange.request.query_params.get("limit")
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= most:
        raise invalid("limit", f"{given!r} is not in 1..{most}")
    return int(given)
