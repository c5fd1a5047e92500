"""Models that refused a request for the cache marks that we put on it."""

from __future__ import annotations

import logging
import time

from fivelevers import metrics

QUARANTINE_S = 3600.0
_MODELS_AT_MOST = 1000

_log = logging.getLogger("fivelevers.prompt_cache")


class Quarantine:
    """They get none for ``QUARANTINE_S``. Of this process alone: each one learns it by a single retry."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def holds(self, model: str) -> bool:
        return time.monotonic() < self._until.get(model, 0.0)

    def put(self, model: str, words: str) -> None:
        """``words``: what the provider said to the marked request, before it took the same one without marks."""
        if len(self._until) >= _MODELS_AT_MOST:
            self._until.clear()
        self._until[model] = time.monotonic() + QUARANTINE_S
        metrics.count_bypass("prompt_cache", "quarantined")
        _log.warning("%s refuses our cache marks and gets none for an hour; it said: %s", model, words)
