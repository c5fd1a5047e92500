"""The calls in the ledger, in the order in which they were sent, each with its content where that is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, and_, desc, exists, func, select

from fivelevers.errors import ContentError
from fivelevers.metering.event import UsageSource
from fivelevers.metering.outcomes import Outcome
from fivelevers.prices import Kind, Usage
from fivelevers.stores.content_key import Keys
from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, attempts, contents, savings
from fivelevers.stores.outcome_query import resolved


@dataclass(frozen=True, slots=True)
class StoredCall:
    """One attempt. ``digest``: of what was asked. ``request`` and ``answer``: what was sent, without the fields
    ``left_out``, and said, where that is kept; ``sealed``: it is, under a key that is not here.
    ``good``: what is known of the request's outcome. ``batched``: it came in a batch, whose price it had.
    """

    event_id: str
    started_at: float
    ended_at: float
    route: str
    key: str
    key_alias: str | None
    team: str | None
    api: str
    stream: bool
    alias: str
    model: str
    provider: str
    deployment: str | None
    success: bool
    finish_reason: str | None
    digest: str
    estimated: bool
    usage: Usage
    cost_usd: Decimal | None
    request: dict[str, Any] | None
    sealed: bool
    answer: str | None = None
    left_out: tuple[str, ...] = ()
    good: bool | None = None
    session: str = ""
    explicit_session: bool = False
    batched: bool = False


_CLIENTS = attempts.c.charged_to.is_(None)  # a judge's calls are ours


def count(ledger: Ledger) -> int:
    """How many attempts there are. Raises LedgerError."""
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(attempts).where(_CLIENTS)).scalar_one()


def calls(ledger: Ledger, keys: Keys) -> Iterator[StoredCall]:
    """All of them, read as they are asked for. Raises LedgerError."""
    with (
        named_errors("can not be read"),
        ledger.engine.connect() as connection,
        connection.execution_options(yield_per=200).execute(_query(time.time())) as rows,
    ):
        for row in rows:
            yield _call(row, keys)


def _query(now: float) -> Select[Any]:
    # A request was sent once for each of its attempts; its content belongs to all of them.
    kept = and_(contents.c.request_id == attempts.c.request_id, contents.c.expires_at > now)
    known = resolved()
    said = known.c.request_id == attempts.c.request_id
    batched = exists().where(savings.c.event_id == attempts.c.event_id, savings.c.lever == "batch").label("batched")
    query = select(attempts, contents.c.key_id, contents.c.blob, known.c.outcome, batched)
    query = query.select_from(attempts.outerjoin(contents, kept).outerjoin(known, said))
    return query.where(_CLIENTS).order_by(attempts.c.started_at, desc(attempts.c.success), attempts.c.event_id)


def _call(row: Row[Any], keys: Keys) -> StoredCall:
    content: dict[str, Any] = {}
    sealed = False
    if row.blob is not None:
        try:
            content = json.loads(keys.open(row.key_id, row.blob, row.request_id))
        except ContentError:
            sealed = True
    return StoredCall(
        **{name: getattr(row, name) for name in _SAME},
        estimated=row.usage_source == UsageSource.ESTIMATED.value,
        usage=Usage(**{kind.value: getattr(row, f"{kind}_tokens") for kind in Kind}),
        ended_at=row.at,
        request=content.get("request"),
        sealed=sealed,
        batched=bool(row.batched),
        answer=content.get("text") or None,
        left_out=tuple(content.get("left_out", ())),
        good=None if row.outcome is None else bool(row.outcome == Outcome.SUCCESS.value),
    )


_SAME = (
    "event_id", "started_at", "route", "key", "key_alias", "team", "api", "stream", "alias", "model", "provider",
    "deployment", "success", "cost_usd", "finish_reason", "digest", "session", "explicit_session",
)  # fmt: skip
