"""The policy file as it changes: the last good policy, and what is wrong with the file if anything is."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from fivelevers import metrics
from fivelevers.errors import PolicyError, Problem
from fivelevers.policy import EMPTY, Policy, Reading, expand, read

CHECK_EVERY_S = 0.5

_log = logging.getLogger("fivelevers.policy")

Stamp = tuple[str, int, int, int]


class PolicyFile:
    """Read once when made, and again by a thread of its own when the file, or one that it includes, has changed.

    ``current`` costs a request nothing, and nothing here raises. Files are only read: a read-only mount will do.
    ``on_look`` is told of a policy before it comes into force and at each look from then on: what it names is there.
    """

    def __init__(
        self,
        path: Path | None,
        on_problem: Callable[[PolicyError], None] = lambda _: None,
        on_look: Callable[[Policy], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self._on_problem, self._on_look = on_problem, on_look
        self._policy = EMPTY
        self._includes: tuple[str, ...] = ()
        self._seen: tuple[Stamp, ...] | None = None
        self._warnings: tuple[Problem, ...] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = 0
        self.check()

    def current(self) -> Policy:
        """The policy that acts now."""
        if self._owner != os.getpid():  # the first call, or the first in a forked process, which has no thread yet
            self.watch()
        return self._policy

    def watch(self) -> None:
        """Look at the files every ``CHECK_EVERY_S`` from now on, whether requests come or not."""
        self._owner = os.getpid()
        if self.path is None:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="fivelevers-policy", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Stop looking; the policy stays."""
        self._stop.set()
        if self._thread is not None and self._owner == os.getpid():
            self._thread.join(timeout=5)

    def check(self) -> None:
        """Read the files again if they are not what was read before, and look at what the policy names."""
        if self.path is None:
            return
        # Taken before the text is read: what changes meanwhile is read again. So are files that include others for the
        # first time, since only then is it known which files to look at.
        seen = tuple(_stamp(file) for file in [self.path, *self._included()])
        if seen == self._seen:
            self._look(self._policy)
            return
        self._seen = seen
        reading = read(self.path)
        self._includes = reading.includes
        self._take(reading, self.path)

    def _included(self) -> list[Path]:
        return [file for pattern in self._includes for file in expand(pattern)]

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(CHECK_EVERY_S):
            try:
                self.check()
            except Exception as error:  # whatever it is, this thread must live: nobody else sees the file change
                metrics.count_bypass("all", "policy", error)

    def _look(self, policy: Policy) -> None:
        try:
            self._on_look(policy)
        except Exception as error:  # whatever it is, the policy comes into force all the same
            metrics.count_bypass("all", "policy", error)

    def _take(self, reading: Reading, path: Path) -> None:
        """Put in force what is good, and say what has changed."""
        metrics.policy_bad.set(reading.policy is None)
        if reading.policy is None:
            self._refuse(PolicyError(reading.problems))
            return
        if reading.policy.hash != self._policy.hash:
            self._look(reading.policy)
            self._policy = reading.policy
            _log.info("policy %s is in force: %s", self._policy.hash, path)
        elif self.problem is not None:
            _log.info("policy file is good again, policy %s is in force: %s", self._policy.hash, path)
        for warning in reading.warnings:
            if warning not in self._warnings:
                _log.warning("policy: %s", warning)
        self.problem, self._warnings = None, reading.warnings

    def _refuse(self, error: PolicyError) -> None:
        if str(error) != self.problem:
            self.problem = str(error)
            self._on_problem(error)
            _log.error("policy file refused, policy %s stays in force:\n%s", self._policy.hash, error)


def _stamp(file: Path) -> Stamp:
    """What changes when a file does; also where a symbolic link leads elsewhere, as in mounted ConfigMaps."""
    try:
        stat = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino
