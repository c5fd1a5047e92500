"""The outcome of each request, of all that was said of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Subquery, desc, func, select

from fivelevers.metering.outcomes import Outcome
from fivelevers.stores.ledger import outcomes


def resolved(among: Select[Any] | None = None) -> Subquery:
    """(request_id, outcome) of the requests that have a known one, as `outcomes.resolve` decides.

    ``among``: ids of requests; None: of all.
    """
    # Strongest source, its latest word, failure before success at one moment.
    order = (outcomes.c.strength, desc(outcomes.c.at), outcomes.c.outcome)
    rank = func.row_number().over(partition_by=outcomes.c.request_id, order_by=order)
    said = select(outcomes.c.request_id, outcomes.c.outcome, rank.label("n"))
    known = said.where(outcomes.c.outcome != Outcome.UNKNOWN.value)
    ranked = (known if among is None else known.where(outcomes.c.request_id.in_(among))).subquery()
    return select(ranked.c.request_id, ranked.c.outcome).where(ranked.c.n == 1).subquery()
