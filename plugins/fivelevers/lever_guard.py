"""Calls a lever of a route back to shadow when its sessions cost more per success than the control's, or fail more.

A thread of one process of a fleet at a time reads the ledger at each look, from the start of each guard on. Nothing
else is kept: a restart forgets no evidence and counts none twice, and an outcome that comes late counts.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.metering.arms import Contrast, contrasts
from fivelevers.metering.guard import Reading, judge, needed
from fivelevers.order import LEVER_NAMES
from fivelevers.policy import Policy, Route
from fivelevers.stores import guards
from fivelevers.stores.guards import Started
from fivelevers.stores.lease import Lease
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switches import Switches
from fivelevers.switch import ANY, Board

ACTOR = "guard"
LOOK_EVERY_S = 5.0
_AGAIN_AFTER_S = 15.0  # a ledger that did not answer
_BUSY_SHARE = 0.05  # of its time, at most, a database answers looks
_HOLD_S = 60.0
_UNGUARDED = "batch"  # its discount is a published price: it has no control


class LeverGuard:
    """The guards of a fleet, as one process follows them. ``redis_url`` may be empty: then each process looks."""

    def __init__(self, policy: Callable[[], Policy], switches: Switches, redis_url: str, ledger_url: str) -> None:
        self._policy, self._switches = policy, switches
        self._redis_url, self._ledger_url = redis_url, ledger_url
        self._lease: Lease | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = 0

    def ensure(self) -> None:
        """Look from now on, in a thread of this process, if it does not yet."""
        if self._owner == os.getpid():
            return
        self._owner, self._stop, self._lease = os.getpid(), threading.Event(), None
        if self._ledger_url:
            self._thread = threading.Thread(target=self._follow, name="fivelevers-guard", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def close(self) -> None:
        """Stop looking, and leave the turn to another process, or to the one that comes after this."""
        if self._owner != os.getpid():  # a forked process has what is its parent's
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _follow(self) -> None:
        wait_s, ledger = LOOK_EVERY_S, None
        while not self._stop.wait(wait_s):
            started = time.monotonic()
            try:
                if not self._mine(wait_s):
                    continue
                if ledger is None:
                    ledger = Ledger(self._ledger_url)
                    ledger.create()
                self.look(ledger, time.time())
                wait_s = max(LOOK_EVERY_S, (time.monotonic() - started) / _BUSY_SHARE)
            except Exception as error:  # whatever it is, this thread must live: a retreat depends on it
                metrics.count_bypass("all", "guard", error)
                wait_s = _AGAIN_AFTER_S
                if ledger is not None:
                    ledger.close()
                    ledger = None
        if ledger is not None:
            ledger.close()

    def _mine(self, wait_s: float) -> bool:
        """Whether it is this process's turn. While Redis is away each looks for itself: a retreat is the same twice."""
        if not self._redis_url:
            return True
        try:
            self._lease = self._lease or Lease(self._redis_url, "guard")
            return self._lease.take(2 * wait_s + _HOLD_S)
        except StoreError:  # the switches, which need Redis sooner, say so
            return True

    def look(self, ledger: Ledger, now: float) -> None:
        """Judge every guarded lever once, and start the guards that are missing. Raises LedgerError."""
        board, known = self._switches.current(), guards.latest(ledger)
        for route in self._policy().routes:
            off = board.off(route.name)
            for contrast in guarded(route, board):
                arms = _key(route, contrast, off)
                guard = known.get((route.name, contrast.lever))
                if guard is None or guard.arms != arms or guard.at < _touched(board, route.name, contrast.lever):
                    guards.start(ledger, route.name, contrast.lever, arms, now)
                else:
                    self._judge(ledger, route, contrast, off, guard)

    def _judge(self, ledger: Ledger, route: Route, contrast: Contrast, off: frozenset[str], guard: Started) -> None:
        treated, control = guards.read(ledger, route.name, contrast, off, guard.at)
        reading = judge(treated, control, route.max_success_loss)
        if isinstance(reading, Reading) and reading.evidence >= needed(guard.number):
            reason = f"{reading.why}; {treated.sums.sessions:,} sessions treated"
            self._switches.retreat(route.name, contrast.lever, actor=ACTOR, reason=reason)


def guarded(route: Route, board: Board) -> Iterator[Contrast]:
    """What is compared on a route, as policy and board stand."""
    out = {_UNGUARDED} | board.off(route.name) | board.retreated(route.name)
    return contrasts({lever: share for lever, share in route.shares.items() if lever not in out}, LEVER_NAMES)


def _key(route: Route, contrast: Contrast, off: frozenset[str]) -> str:
    """Of this contrast at these shares: who is in which arm."""
    shares = ",".join(f"{lever}={share!r}" for lever, share in sorted(route.shares.items()) if lever != _UNGUARDED)
    text = f"{contrast.key} {route.holdout!r} {shares} {sorted(off)}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _touched(board: Board, route: str, lever: str) -> float:
    """When somebody last switched this lever off, or on again: evidence from before speaks of another lever."""
    places = ((r, name) for r in (ANY, route) for name in (ANY, lever))
    return max((board.latest[place].at for place in places if place in board.latest), default=0.0)
