"""Kept content: what was asked and answered, on routes whose policy says so, until its retention has passed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, select

from fivelevers.errors import ContentError
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Route
from fivelevers.stores.content_key import Keys
from fivelevers.stores.database import named_errors, writing
from fivelevers.stores.ledger import Ledger, contents

EXPIRE_BATCH = 500


@dataclass(frozen=True, slots=True)
class StoredContent:
    """One request as it was sent and its answer. ``left_out`` names the request's fields that are never kept."""

    request_id: str
    at: float
    tenant: str
    api: str
    request: Mapping[str, Any]
    left_out: tuple[str, ...]
    answer: Output


def read(ledger: Ledger, route: Route, since: float, keys: Keys) -> Iterator[StoredContent]:
    """The content of a route from ``since`` (seconds since the epoch) on, oldest first; nothing past its retention.

    Raises ContentError when the route keeps none, or when some can not be decrypted with ``keys``; LedgerError.
    """
    kept = (contents.c.route == route.name, contents.c.at >= since, contents.c.expires_at > time.time())
    query = select(contents).where(*kept).order_by(contents.c.at, contents.c.request_id)
    empty = True
    with (
        named_errors("can not be read"),
        ledger.engine.connect() as connection,
        connection.execution_options(yield_per=100).execute(query) as rows,
    ):
        for row in rows:
            empty = False
            yield _stored(row, keys)
    if empty and route.content == "off":
        raise ContentError(
            f"routes.{route.name}.content: 'off' keeps no text; write `content: sample` or `content: all`"
        )


def _stored(row: Row[Any], keys: Keys) -> StoredContent:
    document = json.loads(keys.open(row.key_id, row.blob, row.request_id))
    return StoredContent(
        request_id=row.request_id,
        at=row.at,
        tenant=row.tenant,
        api=document["api"],
        request=document["request"],
        left_out=tuple(document["left_out"]),
        answer=Output(document["text"], tuple(ToolCall(*call) for call in document["tool_calls"])),
    )


def expired(ledger: Ledger, now: float) -> int:
    """How much content is there past its retention. Raises LedgerError."""
    past = select(func.count()).select_from(contents).where(contents.c.expires_at <= now)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return connection.execute(past).scalar_one()


def expire(ledger: Ledger, now: float, at_most: int = EXPIRE_BATCH) -> int:
    """Delete content whose retention has passed, ``at_most`` so many at a time; how many. Raises LedgerError."""
    past = select(contents.c.request_id).where(contents.c.expires_at <= now).limit(at_most)
    with named_errors("content can not be deleted"):
        with writing(ledger.engine) as connection:
            found = connection.execute(delete(contents).where(contents.c.request_id.in_(past))).rowcount
        if found and ledger.engine.dialect.name == "sqlite":
            with ledger.engine.connect() as connection:  # else the write-ahead log may hold it for a long time yet
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(found)
