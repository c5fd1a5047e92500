"""A circuit breaker: a store that fails again and again is left alone for a while."""

from __future__ import annotations

import time


class Breaker:
    """Open after ``failures`` in a row, for ``rest_s``: a hanging store costs a few late requests a second, not all.

    A single failure opens nothing: it may be the fault of a proxy whose event loop was late.
    """

    def __init__(self, failures: int = 3, rest_s: float = 1.0) -> None:
        self._failures, self._rest_s = failures, rest_s
        self._failed, self._open_until = 0, 0.0

    @property
    def open(self) -> bool:
        return time.monotonic() < self._open_until

    def worked(self) -> None:
        self._failed = 0

    def failed(self) -> None:
        self._failed += 1
        if self._failed >= self._failures:
            self._failed, self._open_until = 0, time.monotonic() + self._rest_s
