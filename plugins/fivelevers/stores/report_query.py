"""What the report reads: the ledger summed per group, session and arm, in the database.

The session stays in the grouping since intervals are clustered by it; outcomes are resolved here, strongest source
first and the latest among equals, so an outcome that comes late changes the next report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from math import inf
from typing import Any

from sqlalchemy import ColumnElement, Select, String, case, cast, desc, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from fivelevers.errors import LedgerError
from fivelevers.metering.event import UsageSource
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.report import Cluster, GroupBy, Totals
from fivelevers.prices import Kind, Usage
from fivelevers.stores.daily_query import day_of
from fivelevers.stores.ledger import Ledger, Usd, attempts, savings, tags
from fivelevers.stores.outcome_query import resolved

_ZERO = literal(Decimal(0), Usd)


def clusters(
    ledger: Ledger, by: GroupBy, since: float, until: float = inf, *, daily: bool = False
) -> Iterator[Cluster]:
    """One row per group, session and arm, with ``daily`` per UTC day too, of attempts that ended in [``since``,
    ``until``), seconds since the epoch."""
    day = day_of(ledger) if daily else None
    try:
        with ledger.engine.connect() as connection:
            rows = connection.execution_options(yield_per=1000).execute(_clusters(by, day, since, until))
            for row in rows.mappings():
                yield _cluster(row)
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: can not be read: {error}") from error


def savings_by_lever(
    ledger: Ledger, by: GroupBy, since: float, until: float = inf
) -> Iterator[tuple[str, str, str, Decimal]]:
    """(group, lever, basis, USD) of every saving."""
    group = group_of(by)
    query = select(group, savings.c.lever, savings.c.basis, func.sum(savings.c.usd, type_=Usd))
    query = joined(query, by).join(savings, savings.c.event_id == attempts.c.event_id).where(within(since, until))
    try:
        with ledger.engine.connect() as connection:
            for row in connection.execute(query.group_by(group, savings.c.lever, savings.c.basis)):
                yield row[0], row[1], row[2], row[3]
    except SQLAlchemyError as error:
        raise LedgerError(f"ledger: can not be read: {error}") from error


def group_of(by: GroupBy) -> ColumnElement[str]:
    """What the report calls the group of an attempt."""
    columns: dict[GroupBy, ColumnElement[str]] = {
        GroupBy.TOTAL: literal("all"),
        GroupBy.ROUTE: attempts.c.route,
        GroupBy.TEAM: func.coalesce(attempts.c.team, "(no team)"),
        GroupBy.KEY: func.coalesce(attempts.c.key_alias, attempts.c.key),
        GroupBy.TAG: tags.c.tag,
        GroupBy.MODEL: attempts.c.model,
        GroupBy.ARM: attempts.c.route + ": " + _arm(),
    }
    return columns[by]


def _arm() -> ColumnElement[str]:
    """The levers that treated a session, in their order; of one that none did, whether it was held out."""
    levers: ColumnElement[str] = cast(attempts.c.treated, String)  # as JSON
    for mark in '[]"':
        levers = func.replace(levers, mark, "")
    return case((attempts.c.holdout, "holdout"), (levers == "", "no lever"), else_=levers)


def joined(query: Select[Any], by: GroupBy, *, all_of_it: bool = False) -> Select[Any]:
    """Of attempts; once for each tag, where these are the groups, and ``all_of_it``: untagged ones too, of no group."""
    query = query.select_from(attempts)
    return query.join(tags, tags.c.event_id == attempts.c.event_id, isouter=all_of_it) if by is GroupBy.TAG else query


def within(since: float, until: float) -> ColumnElement[bool]:
    after = attempts.c.at >= since
    return after if until == inf else after & (attempts.c.at < until)


def _clusters(by: GroupBy, day: ColumnElement[int] | None, since: float, until: float) -> Select[Any]:
    known = resolved()
    newest = (desc(attempts.c.at), desc(attempts.c.success), attempts.c.event_id)
    # A lever's own call is never the answer, and nothing superseded it.
    tries = (attempts.c.request_id, attempts.c.charged_to)
    last = func.row_number().over(partition_by=tries, order_by=newest)
    answers = attempts.c.charged_to.is_(None)
    # What came before the period is superseded by what came in it; what comes behind it still supersedes.
    ranked_tries = select(attempts.c.event_id, ((last == 1) & answers).label("final"))
    final = ranked_tries.where(attempts.c.at >= since).subquery()
    is_final, outcome, cost = final.c.final, known.c.outcome, attempts.c.cost_usd
    failed, group = is_final & (outcome == Outcome.FAILURE.value), group_of(by)
    query = select(
        group.label("group"),
        attempts.c.session,
        attempts.c.holdout,
        (literal(0) if day is None else day).label("day"),
        _count(is_final).label("requests"),
        _count(answers).label("attempts"),
        _count(is_final & (outcome == Outcome.SUCCESS.value)).label("successes"),
        _count(failed).label("failures"),
        _count(cost.is_(None)).label("unpriced"),
        _count(attempts.c.usage_source == UsageSource.ESTIMATED.value).label("estimated"),
        _usd(cost).label("cost"),
        _usd(attempts.c.list_cost_usd).label("list_cost"),
        _usd(attempts.c.cost_without_us_usd).label("cost_without_us"),
        _usd(case((outcome.is_not(None), cost))).label("known_cost"),
        _usd(case((failed, cost))).label("failed_cost"),
        _usd(case((failed, attempts.c.failure_cost_usd))).label("failure_cost"),
        _usd(case((~is_final & answers & ~attempts.c.success, cost))).label("superseded_cost"),
        _usd(case((~is_final & answers & attempts.c.success, cost))).label("discarded_cost"),
        _usd(case((attempts.c.charged_to == "batch", cost))).label("double_billed_cost"),
        _count(attempts.c.charged_to == "batch").label("late_rows"),
        _usd(case((attempts.c.charged_to != "batch", cost))).label("proof_cost"),
        _usd(case((attempts.c.usage_source == UsageSource.ESTIMATED.value, cost))).label("estimated_cost"),
        *(func.sum(attempts.c[f"{kind}_tokens"]).label(f"{kind}_tokens") for kind in Kind),
    )
    query = joined(query, by).join(final, final.c.event_id == attempts.c.event_id)
    query = query.outerjoin(known, known.c.request_id == attempts.c.request_id).where(within(since, until))
    return query.group_by(group, attempts.c.session, attempts.c.holdout, *([] if day is None else [day]))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _usd(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(amount, type_=Usd), _ZERO, type_=Usd)


def _cluster(row: Any) -> Cluster:
    usage = Usage(**{kind.value: int(row[f"{kind}_tokens"]) for kind in Kind})
    sums = {f.name: row[f.name] for f in fields(Totals) if f.name != "usage"}
    return Cluster(row["group"], row["session"], row["holdout"], Totals(usage=usage, **sums), int(row["day"]))
