"""What was calibrated, and how its audits go: read from the ledger, by a thread of its own.

A lever that promises a bound acts only while the latest calibration of its route says so; every proxy follows the
ledger, and keeps the last word while the ledger is away.
"""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from sqlalchemy import case, desc, func, select

from fivelevers import metrics
from fivelevers.stores.database import named_errors
from fivelevers.stores.ledger import Ledger, calibrations, look_ups

LOOK_EVERY_S = 2.0
_AGAIN_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One calibration of a route's lever: who made it when, and what it says (levers/…/calibrate.py reads that)."""

    at: float
    route: str
    lever: str
    actor: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Audits:
    """Semantic hits that were answered afresh and judged, and how many of them were wrong."""

    judged: int = 0
    wrong: int = 0


def add(ledger: Ledger, made: Calibrated) -> None:
    """Keep it. Raises LedgerError."""
    row = {name: getattr(made, name) for name in made.__slots__}
    ledger.add(calibrations, [{**row, "detail": dict(made.detail), "event_id": uuid.uuid4().hex}])


def latest(ledger: Ledger, lever: str) -> dict[str, Calibrated]:
    """The latest one of each route. Raises LedgerError."""
    c = calibrations.c
    newest = func.row_number().over(partition_by=c.route, order_by=(desc(c.at), desc(c.event_id))).label("n")
    ranked = select(c.at, c.route, c.lever, c.actor, c.detail, newest).where(c.lever == lever).subquery()
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        rows = connection.execute(select(ranked).where(ranked.c.n == 1))
        return {row.route: Calibrated(row.at, row.route, row.lever, row.actor, row.detail) for row in rows}


def audits(ledger: Ledger, route: str, since: float, until: float = inf) -> Audits:
    """What the audits of a route's hits found in [``since``, ``until``). Raises LedgerError."""
    c = look_ups.c
    wrong = func.coalesce(func.sum(case((c.verdict == "different", 1), else_=0)), 0)
    query = select(func.count(), wrong).where(
        c.route == route, c.at >= since, c.mode == "on", c.result == "audit", c.verdict.is_not(None)
    )
    if until != inf:
        query = query.where(c.at < until)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        judged, found = connection.execute(query).one()
    return Audits(int(judged), int(found))


def look_ups_of(ledger: Ledger, route: str, since: float) -> Iterator[Mapping[str, Any]]:
    """Every look-up of a route, in order: the columns of the table, by name. Raises LedgerError."""
    query = select(look_ups).where(look_ups.c.route == route, look_ups.c.at >= since)
    with named_errors("can not be read"), ledger.engine.connect() as connection:
        ordered = query.order_by(look_ups.c.at, look_ups.c.event_id)
        for row in connection.execution_options(yield_per=1000).execute(ordered).mappings():
            yield dict(row)


class Calibrations:
    """The latest calibration of each route and its audits since, for one process. ``current`` never waits.

    ``ended`` is called, in the thread that looks, with every route whose audits were counted anew.
    """

    def __init__(self, ledger_url: str, lever: str, ended: Callable[[Calibrated, Audits], None]) -> None:
        self._url, self._lever, self._ended = ledger_url, lever, ended
        self._found: dict[str, Calibrated] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = 0

    def current(self, route: str) -> Calibrated | None:
        """The route's latest calibration, as of the last look; None before the first."""
        if self._owner != os.getpid():  # a forked process has no thread yet
            self._start()
        return self._found.get(route)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _start(self) -> None:
        self._owner, self._stop = os.getpid(), threading.Event()
        if self._url:
            self._thread = threading.Thread(target=self._follow, name="fivelevers-calibrations", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def _follow(self) -> None:
        wait_s, ledger = 0.0, None
        while not self._stop.wait(wait_s):
            try:
                if ledger is None:
                    ledger = Ledger(self._url)
                    ledger.create()
                self._look(ledger)
                wait_s = LOOK_EVERY_S
            except Exception as error:  # whatever it is, this thread must live: a retreat depends on it
                metrics.count_bypass(self._lever, "calibration", error)
                wait_s = _AGAIN_AFTER_S
                if ledger is not None:
                    ledger.close()
                    ledger = None
        if ledger is not None:
            ledger.close()

    def _look(self, ledger: Ledger) -> None:
        self._found = latest(ledger, self._lever)
        for made in self._found.values():
            self._ended(made, audits(ledger, made.route, made.at))
