"""How much a route has seen since a moment, and since when a lever stands there as it does: what `plan` goes by."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import desc, func, select

from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, attempts, look_ups, switches

_CHANGED = re.compile(r"routes\.([a-z0-9_-]+)\.levers\.([a-z_]+)\.(?:mode|percent): ")
_CHANGES_AT_MOST = 1000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Answered requests of a route, from the first to the last, in seconds of the epoch (0 where there are none)."""

    requests: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def span_s(self) -> float:
        return self.last_at - self.first_at


def traffic(ledger: Ledger, route: str, since: float) -> Traffic:
    """At ``since`` or later. Raises LedgerError."""
    c = attempts.c
    query = select(func.count(), func.min(c.at), func.max(c.at)).where(
        c.route == route, c.at >= since, c.charged_to.is_(None), c.success
    )
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        count, first, last = connection.execute(query).one()
    return Traffic(int(count), first or 0.0, last or 0.0)


def providers(ledger: Ledger, route: str, since: float) -> frozenset[str]:
    """Who answered a route at ``since`` or later. Raises LedgerError."""
    query = select(attempts.c.provider).where(attempts.c.route == route, attempts.c.at >= since).distinct()
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return frozenset(connection.execute(query).scalars())


def judged(ledger: Ledger, route: str) -> int:
    """Look-ups of the answer store with a verdict. Raises LedgerError."""
    query = select(func.count()).where(look_ups.c.route == route, look_ups.c.verdict.is_not(None))
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def set_at(ledger: Ledger) -> dict[tuple[str, str], float]:
    """By (route, lever): when its mode or percent was last changed, where proxies recorded it. Raises LedgerError."""
    query = select(switches.c.at, switches.c.detail).where(switches.c.action == "policy")
    found: dict[tuple[str, str], float] = {}
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        for at, detail in connection.execute(query.order_by(desc(switches.c.at)).limit(_CHANGES_AT_MOST)):
            for line in detail["changes"]:
                if match := _CHANGED.match(line):
                    found.setdefault((match[1], match[2]), at)
    return found
