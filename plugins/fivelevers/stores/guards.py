"""What the guards go by: which were started, and the sessions of both arms, read from the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, String, case, cast, desc, func, select

from fivelevers.metering.arms import Contrast
from fivelevers.metering.guard import Seen, Session, Side, sides
from fivelevers.metering.outcomes import Outcome
from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, Usd, attempts, guards
from fivelevers.stores.outcome_query import resolved


@dataclass(frozen=True, slots=True)
class Started:
    """A guard: number ``number`` of this ledger, which counts what was asked at ``at`` (epoch seconds) or later.

    ``arms`` is the key of its contrast and of the shares behind it: with others it is another guard.
    """

    number: int
    at: float
    route: str
    lever: str
    arms: str


def latest(ledger: Ledger) -> dict[tuple[str, str], Started]:
    """The last guard of each (route, lever). Raises LedgerError."""
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        rows = connection.execute(select(guards).order_by(guards.c.number)).mappings()
        return {(row["route"], row["lever"]): Started(**row) for row in rows}


def start(ledger: Ledger, route: str, lever: str, arms: str, at: float) -> None:
    """Start one under the next number; if another process takes that number meanwhile, nothing. Raises LedgerError."""
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        last = connection.execute(select(func.max(guards.c.number))).scalar_one()
    row = {"number": (last or 0) + 1, "at": at, "route": route, "lever": lever, "arms": arms}
    ledger.add(guards, [row])


def read(ledger: Ledger, route: str, contrast: Contrast, off: frozenset[str], since: float) -> tuple[Side, Side]:
    """(treated, control) of ``route``, of what was asked at ``since`` or later. Raises LedgerError.

    ``off``: the levers that are off there for everybody; requests that skipped others are on neither side. A session
    with an attempt of unknown price counts as unknown. What the batch lane treats is not looked at: it has no control.
    Rows are added up as they come: what this holds does not grow with the ledger.
    """
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        rows = connection.execution_options(yield_per=1000).execute(_sessions(route, since))
        return sides(_seen(rows, contrast, off))


def _seen(rows: Iterable[Any], contrast: Contrast, off: frozenset[str]) -> Iterator[Seen]:
    levers = lru_cache(maxsize=256)(_levers)  # few sets of levers stand in many rows
    for row in rows:
        treated = levers(row.treated) - {"batch"}
        if treated in (contrast.inside, contrast.outside) and off.issuperset(levers(row.skipped)):
            told = row.known and not row.unpriced
            yield Seen(treated == contrast.inside, int(row.requests), _session(row) if told else None)


def _levers(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def _session(row: Any) -> Session:
    return Session(
        float(row.cost or 0), float(row.failure or 0), int(row.known), int(row.successes), float(row.size or 0)
    )


def _sessions(route: str, since: float) -> Select[Any]:
    """One row per session and what it was treated by. A lever's own calls are in the cost of the request they serve."""
    calls = _calls(route, since)
    known, c = resolved(select(calls.c.request_id)), calls.c
    told = known.c.outcome.is_not(None)
    answer = (c.last == 1) & c.charged_to.is_(None)
    failed = answer & (known.c.outcome == Outcome.FAILURE.value)
    query = select(
        c.session,
        c.treated,
        c.skipped,
        func.min(c.asked_at).label("began"),
        _count(answer).label("requests"),
        _count(answer & told).label("known"),
        _count(answer & (known.c.outcome == Outcome.SUCCESS.value)).label("successes"),
        _count(told & c.cost_usd.is_(None)).label("unpriced"),
        func.sum(case((told, c.cost_usd)), type_=Usd).label("cost"),
        func.sum(case((failed, c.failure_cost_usd)), type_=Usd).label("failure"),
        func.max(case((c.opening == 1, c.prompt_chars), else_=0)).label("size"),
    )
    query = query.select_from(calls).outerjoin(known, known.c.request_id == c.request_id)
    by = (c.session, c.treated, c.skipped)
    return query.group_by(*by).order_by("began", *by)  # the first ones set the caps


def _calls(route: str, since: float) -> CTE:
    a = attempts.c
    # The order of the report: the answer is the newest attempt of a request, and no lever's own call.
    newest = (desc(a.at), desc(a.success), a.event_id)
    last = func.row_number().over(partition_by=(a.request_id, a.charged_to), order_by=newest)
    soonest = (a.charged_to.is_not(None), a.asked_at, a.event_id)
    opening = func.row_number().over(partition_by=a.session, order_by=soonest)
    names = (a.request_id, a.session, a.charged_to, a.asked_at, a.cost_usd, a.failure_cost_usd, a.prompt_chars)
    sets = (cast(column, String).label(column.name) for column in (a.treated, a.skipped))
    query = select(*names, *sets, last.label("last"), opening.label("opening"))
    # What was asked since then has ended since then, and only that has an index.
    query = query.where(a.route == route, a.at >= since, a.asked_at >= since)
    return query.cte("calls")


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
