"""The outcome of each request, of all that was said of it."""

from __future__ import annotations

from sqlalchemy import Subquery, desc, func, select

from fivelevers.metering.outcomes import Outcome
from fivelevers.stores.ledger import outcomes


def resolved() -> Subquery:
    """(request_id, outcome) of the requests that have a known one, as `outcomes.resolve` decides."""
    # Strongest source, its latest word, failure before success at one moment.
    order = (outcomes.c.strength, desc(outcomes.c.at), outcomes.c.outcome)
    rank = func.row_number().over(partition_by=outcomes.c.request_id, order_by=order)
    said = select(outcomes.c.request_id, outcomes.c.outcome, rank.label("n"))
    ranked = said.where(outcomes.c.outcome != Outcome.UNKNOWN.value).subquery()
    return select(ranked.c.request_id, ranked.c.outcome).where(ranked.c.n == 1).subquery()
