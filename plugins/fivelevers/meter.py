"""Where a process keeps what it measured: counters at once, the spool before the answer ends, the ledger soon after."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

import orjson

from fivelevers import metrics
from fivelevers.errors import LedgerError
from fivelevers.metering.event import Attempt, Event, OutcomeSeen, to_record
from fivelevers.stores.content import EXPIRE_BATCH, expire
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.spool import SYNC_EVERY_S, Spool, drain, reject

DRAIN_EVERY_S = 1.0  # other processes' segments; its own as soon as they are closed
_RETRY_AT_MOST_EVERY_S = 30.0
JOBS_AT_MOST = 256
EXPIRE_EVERY_S = 3600.0

_log = logging.getLogger("fivelevers.meter")


class Meter:
    """Accepts events from any thread; threads of its own sync the spool and drain it into the ledger."""

    def __init__(self, state_dir: Path, ledger_url: str) -> None:
        self.spool = Spool(state_dir / "spool")
        self.ledger_url = ledger_url
        self._ledger: Ledger | None = None
        self._jobs: deque[tuple[Callable[[], None], str]] = deque()
        self._expire_at = 0.0
        self._stop, self._handed_over, self._busy = threading.Event(), threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._owner = 0

    @classmethod
    def from_environment(cls) -> Self:
        """FIVELEVERS_STATE_DIR (default `.fivelevers`) and FIVELEVERS_LEDGER_URL (default SQLite in it)."""
        state_dir = Path(os.environ.get("FIVELEVERS_STATE_DIR", ".fivelevers")).absolute()
        return cls(state_dir, os.environ.get("FIVELEVERS_LEDGER_URL") or f"sqlite:///{state_dir}/ledger.db")

    def record(self, event: Event) -> None:
        """Accept one event. Never raises: what can not be kept is counted and logged."""
        if isinstance(event, Attempt):
            metrics.count_attempt(event)
        elif isinstance(event, OutcomeSeen):
            metrics.count_outcome(event)
        try:
            self._ensure_thread()
            self.spool.append(to_record(event))
            self._busy.set()
        except Exception as error:
            metrics.count_bypass("metering", "spool", error)

    def later(self, job: Callable[[], None], reason: str) -> None:
        """Run ``job`` in the meter's thread, off the request's path; ``reason`` names the bypass where it can not."""
        if len(self._jobs) >= JOBS_AT_MOST:
            metrics.count_bypass("metering", reason)
            return
        self._jobs.append((job, reason))
        self._ensure_thread()
        self._busy.set()

    def _work(self) -> None:
        while self._jobs:
            job, reason = self._jobs.popleft()
            try:
                job()
            except Exception as error:
                metrics.count_bypass("metering", reason, error)

    def _ensure_thread(self) -> None:
        if self._owner != os.getpid():  # first event of this process; a forked one has no thread yet
            if self._owner:
                self._ledger = None  # its connections are the parent's
            self._owner = os.getpid()
            self._stop, self._handed_over, self._busy = threading.Event(), threading.Event(), threading.Event()
            self._threads = [
                threading.Thread(target=self._keep, name="fivelevers-meter", daemon=True),
                threading.Thread(target=self._deliver, name="fivelevers-drain", daemon=True),
            ]
            for thread in self._threads:
                thread.start()
            atexit.register(self.close)

    def _keep(self) -> None:
        """What must not wait for a database: the spool's way to the disk, and jobs."""
        while not self._stop.wait(SYNC_EVERY_S):
            self._work()
            try:
                if self.spool.sync():
                    self._handed_over.set()
            except Exception as error:  # whatever it is, this thread must live
                metrics.count_bypass("metering", "spool", error)
            if self.spool.idle and not self._jobs:
                self._busy.wait()  # ten wakes a second would be most of what an idle process costs
                self._busy.clear()
        self._work()

    def _deliver(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            self._handed_over.wait(DRAIN_EVERY_S)
            self._handed_over.clear()
            try:
                self.drain()
                self._expire()
                pause_s = 0.0
            except Exception as error:  # whatever it is, this thread must live: nobody else drains the spool
                pause_s = min(pause_s * 2 or DRAIN_EVERY_S, _RETRY_AT_MOST_EVERY_S)
                metrics.count_bypass("metering", "ledger", error)

    def drain(self) -> int:
        """Move every abandoned or finished segment into the ledger; returns the number of events."""
        moved = drain(self.spool.directory, self._insert)
        metrics.spool_bytes.set(self.spool.waiting_bytes())
        return moved

    def _expire(self) -> None:
        """At the start and once an hour delete content past its time: a batch each turn, so that events go on."""
        if time.time() < self._expire_at:
            return
        if self._ledger is None:
            self._ledger = self._opened()
        if expire(self._ledger, time.time()) < EXPIRE_BATCH:
            self._expire_at = time.time() + EXPIRE_EVERY_S

    def _opened(self) -> Ledger:
        ledger = Ledger(self.ledger_url)
        ledger.create()
        return ledger

    def _insert(self, records: list[dict[str, object]]) -> None:
        if self._ledger is None:
            self._ledger = self._opened()
        try:
            damaged_records = self._ledger.insert(records)
        except LedgerError:
            self._ledger.close()
            self._ledger = None  # make its tables again next time: the database may be a new, empty one
            raise
        for damaged in damaged_records:
            reject(self.spool.directory / "damaged", orjson.dumps(damaged))

    def close(self) -> None:
        """Stop the threads, hand the open segment over and drain what there is."""
        if self._owner not in (0, os.getpid()):  # 0: it recorded nothing, and may have drained
            return
        self._stop.set()
        self._handed_over.set()
        self._busy.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self.spool.close()
        try:
            self.drain()
        except (LedgerError, OSError) as error:
            _log.warning("events stay in the spool until the next start: %s", error)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
