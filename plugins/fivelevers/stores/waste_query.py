"""What the report's waste needs beyond sums of attempts: what lever 2's hits saved, and unread cache writes."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, case, distinct, func, literal, or_, select

from fivelevers.audit.never_read import NeverRead
from fivelevers.metering.attribution import Basis
from fivelevers.metering.cost import rounded
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.report import GroupBy
from fivelevers.metering.wrong_hits import Hits
from fivelevers.prices import Kind
from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, Usd, attempts, look_ups, savings
from fivelevers.stores.outcome_query import resolved
from fivelevers.stores.report_query import group_of, joined, within

_LEVER = "semantic_cache"
_LIFETIMES_S = {Kind.CACHE_WRITE_1H: 3600.0, Kind.CACHE_WRITE_5M: 300.0}  # as they stand in a prompt
_LONGEST_S = 3600.0


def semantic_hits(ledger: Ledger, by: GroupBy, since: float, until: float) -> list[Hits]:
    """Semantic hits that were served in [``since``, ``until``), of all routes that looked up. Raises LedgerError."""
    group, c, known = group_of(by), look_ups.c, resolved()
    served, outcome = c.result == "hit", known.c.outcome
    query = select(
        group,
        c.route,
        func.count(distinct(case((served, c.event_id)))),
        _usd(case((served & (outcome == Outcome.FAILURE.value), savings.c.usd))),
        _usd(case((served & outcome.is_(None), savings.c.usd))),
    )
    spared = and_(
        savings.c.event_id == attempts.c.event_id,
        savings.c.lever == _LEVER,
        savings.c.basis == Basis.ESTIMATED.value,
    )
    query = joined(query, by).join(look_ups, c.request_id == attempts.c.request_id).outerjoin(savings, spared)
    query = query.outerjoin(known, known.c.request_id == c.request_id)
    query = query.where(c.mode == "on", attempts.c.charged_to.is_(None), within(since, until)).group_by(group, c.route)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return [Hits(*row) for row in connection.execute(query)]


def _usd(amount: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(amount, type_=Usd), literal(Decimal(0), Usd), type_=Usd)


def unread_writes(ledger: Ledger, by: GroupBy, since: float, until: float, now: float) -> dict[str, Decimal]:
    """USD by group of cache writes that surely nobody read, beyond what plain input had cost: a lower bound.

    Told from token counts alone (audit/never_read.py), of all traffic together, since it shares the providers' caches.
    Writes whose life has not ended at ``now`` are not judged yet. Raises LedgerError.
    """
    found = _Unread()
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        for row in connection.execution_options(yield_per=2000).execute(_cached(by, since, until)):
            found.see(row)
    return found.end(min(now, until))


def _cached(by: GroupBy, since: float, until: float) -> Select[Any]:
    c = attempts.c
    columns = (c.started_at, c.provider, c.model, c.cache_read_tokens, c.input_tokens, c.input_usd)
    writes = (c.cache_write_1h_tokens, c.cache_write_1h_usd, c.cache_write_5m_tokens, c.cache_write_5m_usd)
    query = joined(select(group_of(by).label("group"), *columns, *writes), by, all_of_it=True).where(
        within(since, until)
    )
    some = or_(c.cache_read_tokens > 0, c.cache_write_1h_tokens > 0, c.cache_write_5m_tokens > 0)
    return query.where(some).order_by(c.started_at, c.event_id)


class _Unread:
    """Takes the attempts that touched a cache, in the order in which they were sent."""

    def __init__(self) -> None:
        self._open: dict[tuple[Kind, str, str], NeverRead[tuple[str, Decimal]]] = {}
        self._plain: dict[tuple[str, str], Decimal] = {}
        self._usd: defaultdict[str, Decimal] = defaultdict(Decimal)

    def see(self, row: Row[Any]) -> None:
        start = row.cache_read_tokens
        if row.input_tokens and row.input_usd is not None:
            self._plain[row.provider, row.model] = row.input_usd / row.input_tokens
        for kind in _LIFETIMES_S:
            tokens, usd = getattr(row, f"{kind}_tokens"), getattr(row, f"{kind}_usd")
            owner = (row.group, self._premium(row, tokens, usd))
            key, owned = (kind, row.provider, row.model), tokens if row.group is not None else 0
            if owned and key not in self._open:
                self._open[key] = NeverRead(_lifetime_s(kind, row.provider))
            if key in self._open:
                self._add(self._open[key].see(row.started_at, row.cache_read_tokens, start, start + owned, owner))
            start += tokens

    def end(self, now: float) -> dict[str, Decimal]:
        for open_ in self._open.values():
            self._add(open_.see(now, 0, 0, 0, ("", Decimal(0))))
        return {group: rounded(usd) for group, usd in self._usd.items()}

    def _premium(self, row: Row[Any], tokens: int, usd: Decimal | None) -> Decimal:
        """USD for each written token beyond plain input; 0 where either price is not known."""
        plain = self._plain.get((row.provider, row.model))
        return max(usd / tokens - plain, Decimal(0)) if tokens and usd is not None and plain else Decimal(0)

    def _add(self, wasted: list[tuple[tuple[str, Decimal], int]]) -> None:
        for (group, premium), tokens in wasted:
            self._usd[group] += tokens * premium


def _lifetime_s(kind: Kind, provider: str) -> float:
    """How long such an entry lives; where only the price map's names say, the longest, so that no reader is missed."""
    return _LIFETIMES_S[kind] if provider == "anthropic" else _LONGEST_S
