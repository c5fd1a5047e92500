"""What is switched off now, for every process of a fleet.

The ledger keeps each action for good; Redis, where there is one, carries it to all replicas. A process looks into both
from threads of its own, keeps the later action of each place and gives either store what it lacks: so an emptied Redis
and a ledger that was away are made whole again. While neither answers, the last board stays. A request only reads it.
"""

from __future__ import annotations

import atexit
import getpass
import logging
import os
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from fivelevers import metrics
from fivelevers.errors import FiveLeversError, LedgerError, StoreError
from fivelevers.policy import Policy, changes
from fivelevers.stores import switch_history
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.switch_hash import SwitchHash
from fivelevers.switch import NOTHING_OFF, Action, Board, Place, PolicyChange, Switch

LOOK_EVERY_S = 0.5
_LEDGER_EVERY_S = 5.0  # a shared one beside Redis
_FILE_EVERY_S = 30.0  # SQLite, whose stamp tells of news for less
_AGAIN_AFTER_S = 2.0  # a store that did not answer
_OVERLAP_S = 86_400.0  # an action may reach the ledger late, or bear the time of a clock that is behind

_log = logging.getLogger("fivelevers.switches")

StoreState = Literal["up", "down", "not configured", "not asked yet"]
StoreName = Literal["redis", "ledger"]


def operator() -> str:
    """user@host: who acts where no key says so."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def off_at_start() -> bool:
    """FIVELEVERS_OFF. In doubt off: who sets this variable wants quiet."""
    off = os.environ.get("FIVELEVERS_OFF", "").lower() not in {"", "0", "false", "no"}
    if off:
        _log.warning("FIVELEVERS_OFF is set: no lever acts in this process, requests are metered all the same")
    return off


class Switches:
    """The board of one process. Thread-safe; ``current`` never waits and never raises.

    ``redis_url`` may be empty. ``policy``: whose changes are recorded beside the switches; None in a command.
    """

    def __init__(self, redis_url: str, ledger_url: str, policy: Callable[[], Policy] | None = None) -> None:
        self.states: dict[StoreName, StoreState] = {
            "redis": "not asked yet" if redis_url else "not configured",
            "ledger": "not asked yet" if ledger_url else "not configured",
        }
        self.policy_change: PolicyChange | None = None
        self._redis_url, self._ledger_url, self._policy = redis_url, ledger_url, policy
        self._in_file = ledger_url.startswith("sqlite")
        self._policy_seen: Policy | None = None
        self._board = NOTHING_OFF
        self._unrecorded: deque[Switch] = deque(maxlen=1000)  # what the ledger may not have
        self._hash: SwitchHash | None = None
        self._ledger: Ledger | None = None
        self._read_from, self._ledger_due = 0.0, 0.0
        self._stamp: switch_history.Stamp | None = None
        self._lock, self._ledger_lock = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._owner = 0

    def current(self) -> Board:
        """What is off now, as of the last look."""
        if self._owner != os.getpid():  # a forked process has no threads yet
            self.start(wait_s=0)
        return self._board

    def start(self, wait_s: float) -> None:
        """Look into the stores from now on; wait so long for the first look."""
        self._owner = os.getpid()
        self._stop, self._threads = threading.Event(), []
        self._hash = self._ledger = None  # a forked process must not share its parent's connections
        looked = [self._follow(look) for name, look in self._looks().items() if self.states[name] != "not configured"]
        deadline = time.monotonic() + wait_s
        for once in looked:
            once.wait(max(0.0, deadline - time.monotonic()))
        atexit.register(self.close)

    def look(self) -> Board:
        """Look into both stores now. Raises StoreError when neither answers."""
        self._one_of(look() for look in self._looks().values())
        return self._board

    def off(
        self, route: str, lever: str, *, actor: str, reason: str | None, action: Action = Action.OFF
    ) -> tuple[Switch, ...]:
        """Switch a place off; returns that switch. Raises StoreError, with nothing changed, when no store takes it."""
        made = (self._switch(action, (route, lever), actor, reason),)
        self._write(made)
        return made

    def retreat(self, route: str, lever: str, *, actor: str, reason: str) -> None:
        """Back to shadow, by a guard, which tries again where no store takes it: counted and logged, never raised."""
        if lever in self._board.retreated(route):  # by a look beside this one
            return
        try:
            self.off(route, lever, actor=actor, reason=reason, action=Action.RETREAT)
        except StoreError as error:
            told = f"{lever} on {route} must go back to shadow ({reason}) and can not: {error}"
            metrics.count_bypass(lever, "retreat", StoreError(told))
        except Exception as error:
            metrics.count_bypass(lever, "retreat", error)
        else:
            metrics.count_retreat(route, lever)
            _log.warning("%s on %s goes back to shadow: %s", lever, route, reason)

    def resume(self, route: str, lever: str, *, actor: str, reason: str | None) -> tuple[Switch, ...]:
        """Lift all that is off inside a place; returns it. Raises StoreError as ``off`` does."""
        self._look_into_redis()  # what another process switched off a moment ago is lifted too
        self._with_ledger(self._swap_ledger)
        lifted = self._board.within(route, lever)
        if lifted:
            self._write(tuple(self._switch(Action.RESUME, switch.place, actor, reason) for switch in lifted))
        return lifted

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2)
        with self._ledger_lock:
            self._forget_ledger()
        if self._hash is not None:
            self._hash.close()

    def _switch(self, action: Action, place: Place, actor: str, reason: str | None) -> Switch:
        # Later than what it replaces, whatever the clocks of two machines say; whole microseconds, as Redis keeps them.
        known = self._board.latest.get(place)
        at = max(time.time(), known.at + 1e-6 if known else 0.0)
        return Switch(round(at, 6), uuid.uuid4().hex, action, *place, actor=actor, reason=reason)

    def _write(self, made: tuple[Switch, ...]) -> None:
        # Redis first: it carries the action to the fleet, however long the ledger takes.
        self._one_of(write(made) for write in (self._put, self._add))
        self._take(made)

    def _take(self, switches: Iterable[Switch], *, recorded: bool = False) -> None:
        with self._lock:
            before, self._board = self._board, self._board.merged(switches)
            if self._board is not before and not recorded:
                self._unrecorded += [s for place, s in self._board.latest.items() if before.latest.get(place) != s]

    def _one_of(self, results: Iterable[FiveLeversError | None]) -> None:
        """Raises StoreError unless a store that is configured did its part."""
        errors = [result for result in results if result is not None]
        if len(errors) == len(self.states) - list(self.states.values()).count("not configured"):
            raise StoreError("; ".join(map(str, errors)) or "neither Redis nor a ledger is configured")

    def _looks(self) -> dict[StoreName, Callable[[], FiveLeversError | None]]:
        return {"redis": self._look_into_redis, "ledger": self._look_into_ledger}

    def _follow(self, look: Callable[[], FiveLeversError | None]) -> threading.Event:
        once, stop = threading.Event(), self._stop

        def run() -> None:
            wait_s = 0.0
            while not stop.wait(wait_s):
                try:
                    wait_s = LOOK_EVERY_S if look() is None else _AGAIN_AFTER_S
                except Exception as error:  # whatever it is, this thread must live: a way out depends on it
                    metrics.count_bypass("all", "switches", error)
                    wait_s = _AGAIN_AFTER_S
                once.set()

        thread = threading.Thread(target=run, name="fivelevers-switches", daemon=True)
        self._threads.append(thread)
        thread.start()
        return once

    def _look_into_redis(self) -> StoreError | None:
        return self._with_hash(self._swap_redis)

    def _swap_redis(self, shared: SwitchHash) -> None:
        """Take what Redis has, give it what it lacks."""
        found = shared.read()
        self._take(found)
        there = {switch.place: switch for switch in found}
        lacking = [switch for place, switch in self._board.latest.items() if switch != there.get(place)]
        if lacking:
            shared.put(lacking)

    def _put(self, made: tuple[Switch, ...]) -> StoreError | None:
        return self._with_hash(lambda shared: shared.put(made))

    def _with_hash(self, act: Callable[[SwitchHash], None]) -> StoreError | None:
        if not self._redis_url:
            return None
        try:
            self._hash = self._hash or SwitchHash(self._redis_url)
            act(self._hash)
        except StoreError as error:
            self._is("redis", "down", error)
            return error
        self._is("redis", "up")
        return None

    def _look_into_ledger(self) -> LedgerError | None:
        if time.monotonic() < self._ledger_due and self._no_news():
            return None
        self._ledger_due = time.monotonic() + (_FILE_EVERY_S if self._in_file else _LEDGER_EVERY_S)
        return self._with_ledger(self._swap_ledger)

    def _no_news(self) -> bool:
        """Whether a query can wait: it costs a shared database its time, and a process the opening of its file."""
        if not self._in_file:
            return self.states["redis"] == "up"
        ours = bool(self._unrecorded) or (self._policy is not None and self._policy() is not self._policy_seen)
        return not ours and self._ledger is not None and switch_history.stamp(self._ledger) == self._stamp

    def _add(self, made: tuple[Switch, ...]) -> LedgerError | None:
        return self._with_ledger(lambda ledger: switch_history.add(ledger, made))

    def _with_ledger(self, act: Callable[[Ledger], None]) -> LedgerError | None:
        if not self._ledger_url:
            return None
        with self._ledger_lock:
            try:
                if self._ledger is None:
                    ledger = Ledger(self._ledger_url)
                    ledger.create()
                    self._ledger, self._read_from = ledger, 0.0
                act(self._ledger)
            except LedgerError as error:
                self._forget_ledger()
                self._is("ledger", "down", error)
                return error
        self._is("ledger", "up")
        return None

    def _swap_ledger(self, ledger: Ledger) -> None:
        """Take what the ledger has, give it what it lacks."""
        self._stamp = switch_history.stamp(ledger)  # before the query: what comes meanwhile is looked at again
        found = switch_history.read(ledger, self._read_from)
        self._take(found, recorded=True)
        there = {switch.event_id for switch in found}
        with self._lock:
            waiting = list(self._unrecorded)
        ours = [*waiting, *(s for s in self._board.latest.values() if s.at >= self._read_from)]
        switch_history.add(ledger, {s.event_id: s for s in ours if s.event_id not in there}.values())
        for _ in waiting:
            self._unrecorded.popleft()
        self._read_from = max((s.at for s in found), default=0.0) - _OVERLAP_S
        if self._policy is not None:
            self._note(ledger, self._policy())

    def _note(self, ledger: Ledger, policy: Policy) -> None:
        """Record the policy when another one has come into force."""
        if policy is self._policy_seen:
            return
        told = changes(self._policy_seen, policy) if self._policy_seen else ()
        now = time.time()
        self.policy_change = switch_history.follow_policy(ledger, policy.hash, told, actor=operator(), now=now)
        self._policy_seen = policy

    def _forget_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _is(self, store: StoreName, state: StoreState, error: FiveLeversError | None = None) -> None:
        before, self.states[store] = self.states[store], state
        if state == before:
            return
        if error is not None:
            _log.warning("switches are not read from %s, the last known ones stay: %s", store, error)
        elif before == "down":
            _log.warning("switches are read from %s again", store)
        if error is not None and not {"up", "not asked yet"} & set(self.states.values()):
            metrics.count_bypass("all", "switches", error)
