"""The policy file as it changes: the last good policy, and what is wrong with the file if anything is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fivelevers.errors import PolicyError
from fivelevers.policy import EMPTY, Policy, load

CHECK_EVERY_S = 0.5

_log = logging.getLogger("fivelevers.policy")


class PolicyFile:
    """Reads again when the file's time, size or inode changes, at most every ``CHECK_EVERY_S``; never raises."""

    def __init__(self, path: Path | None, on_problem: Callable[[PolicyError], None] = lambda _: None) -> None:
        self.path = path
        self._on_problem = on_problem
        self.problem: str | None = None
        self._policy = EMPTY
        self._seen: tuple[int, int, int] | None = None
        self._next_check = 0.0
        self._lock = threading.Lock()

    def current(self) -> Policy:
        """The policy that acts now."""
        now = time.monotonic()
        if self.path is not None and now >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._next_check = now + CHECK_EVERY_S
                self._reload(self.path)
            finally:
                self._lock.release()
        return self._policy

    def _reload(self, path: Path) -> None:
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._policy, self.problem = load(path), None
            _log.info("policy %s is in force: %s", self._policy.hash, path)
        except PolicyError as error:
            self.problem = str(error)
            self._on_problem(error)
            _log.error("policy file refused, policy %s stays in force:\n%s", self._policy.hash, error)
