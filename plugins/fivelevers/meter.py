"""Where a process keeps what it measured: counters at once, the spool before the answer ends, the ledger soon after."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from pathlib import Path
from typing import Self

import orjson

from fivelevers import metrics
from fivelevers.errors import LedgerError
from fivelevers.metering.event import Attempt, Event, OutcomeSeen, to_record
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.spool import SYNC_EVERY_S, Spool, drain, reject

DRAIN_EVERY_S = 0.5
_RETRY_AT_MOST_EVERY_S = 30.0

_log = logging.getLogger("fivelevers.meter")


class Meter:
    """Accepts events from any thread; one thread of its own syncs the spool and drains it into the ledger."""

    def __init__(self, state_dir: Path, ledger_url: str) -> None:
        self.spool = Spool(state_dir / "spool")
        self.ledger_url = ledger_url
        self._ledger: Ledger | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
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
        except LedgerError as error:
            metrics.count_bypass("metering", "spool", error)

    def _ensure_thread(self) -> None:
        if self._owner != os.getpid():  # first event of this process; a forked one has no thread yet
            self._owner = os.getpid()
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, name="fivelevers-meter", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def _run(self) -> None:
        wait_s, since_drain_s = DRAIN_EVERY_S, 0.0
        while not self._stop.wait(SYNC_EVERY_S):
            since_drain_s += SYNC_EVERY_S
            try:
                self.spool.sync()
                if since_drain_s >= wait_s:
                    since_drain_s = 0.0
                    self.drain()
                    wait_s = DRAIN_EVERY_S
            except (LedgerError, OSError) as error:
                wait_s = min(wait_s * 2, _RETRY_AT_MOST_EVERY_S)
                metrics.count_bypass("metering", "ledger", error)

    def drain(self) -> int:
        """Move every abandoned or finished segment into the ledger; returns the number of events."""
        moved = drain(self.spool.directory, self._insert)
        metrics.spool_bytes.set(self.spool.waiting_bytes())
        return moved

    def _insert(self, records: list[dict[str, object]]) -> None:
        if self._ledger is None:
            ledger = Ledger(self.ledger_url)
            ledger.create()
            self._ledger = ledger
        try:
            damaged_records = self._ledger.insert(records)
        except LedgerError:
            self._ledger = None  # make its tables again next time: the database may be a new, empty one
            raise
        for damaged in damaged_records:
            reject(self.spool.directory / "damaged", orjson.dumps(damaged))

    def close(self) -> None:
        """Stop the thread, hand the open segment over and drain what there is."""
        if self._owner != os.getpid():
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self.spool.close()
        try:
            self.drain()
        except (LedgerError, OSError) as error:
            _log.warning("events stay in the spool until the next start: %s", error)
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
