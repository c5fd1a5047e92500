"""The routing artifacts that a policy names, as their files are now.

A file is looked at again at most once a second, and read in a thread of its own when it has changed; the first time its
request waits for it. What can not be used says why, once, and its route has the strong model alone.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.errors import CalibrationError
from fivelevers.prices import PriceBook

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact

LOOK_EVERY_S: Final = 1.0
_AT_MOST: Final = 1000  # names; a policy has fewer routes
_INSTALL: Final = "pip install 'fivelevers[routing]'"

_log = logging.getLogger("fivelevers.routing")

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """``artifact`` None: the file can not be used. ``problem``: why that is so, or why it does not hold any more."""

    artifact: Artifact | None
    problem: str | None = None

    @property
    def holds(self) -> bool:
        return self.artifact is not None and self.problem is None


class RouteArtifacts:
    """``folder``: that names are relative to. ``prices``: those of now, which an artifact has to agree with."""

    def __init__(self, folder: Path | None, prices: PriceBook) -> None:
        self._folder, self._prices = folder or Path(), prices
        self._known: dict[str, tuple[Stamp | None, Loaded]] = {}
        self._look_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Loaded:
        """Never raises, and waits for a file only when it is asked for the first time."""
        now, known = time.monotonic(), self._known.get(name)
        if known is None:
            if len(self._known) >= _AT_MOST:
                self._known.clear()
            self._look_at[name] = now + LOOK_EVERY_S
            return self._read(name)
        if now >= self._look_at.get(name, 0.0):
            self._look_at[name] = now + LOOK_EVERY_S
            if _stamp(self._folder / name) != known[0]:
                threading.Thread(target=self._read, args=(name,), name="fivelevers-artifact", daemon=True).start()
        return known[1]

    def _read(self, name: str) -> Loaded:
        with self._lock:
            stamp = _stamp(self._folder / name)  # before the file is read: what comes meanwhile is read again
            known = self._known.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            loaded = load(self._folder / name, self._prices)
            self._known[name] = (stamp, loaded)
        if loaded.problem is not None:
            _log.warning("routing: the strong model alone answers: %s", loaded.problem)
        return loaded


def load(path: Path, prices: PriceBook) -> Loaded:
    """Read an artifact, and whether it holds at these prices; never raises."""
    try:
        from fivelevers.levers.routing.artifact import prices_of  # needs numpy, which a proxy without lever 4 may lack
        from fivelevers.stores import route_artifact

        artifact = route_artifact.read(path)
        now = prices_of(artifact.model.models, prices)
        changed = artifact.holds_for({model: now.get(model) for model in artifact.model.models})
    except CalibrationError as error:
        return Loaded(None, str(error))
    except OSError as error:
        return Loaded(None, f"{path}: can not be read: {error.strerror or error}")
    except ModuleNotFoundError as error:
        return Loaded(None, f"{path}: {error.name} is not installed; {_INSTALL}")
    return Loaded(artifact, None if changed is None else f"{path}: {changed}; fit it anew")


def _stamp(file: Path) -> Stamp | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
