"""The routing artifacts that a policy names, as their files are now.

No request waits for a file: they are read before a policy that names them comes into force, and again when they have
changed, by whoever looks at the policy's own file. What can not be used says why, once, and its route has the strong
model alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.errors import CalibrationError
from fivelevers.policy import Policy
from fivelevers.prices import PriceBook

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact

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


NOT_READ: Final = Loaded(None)


class RouteArtifacts:
    """``folder``: that names are relative to. ``prices``: those of now, which an artifact has to agree with."""

    def __init__(self, folder: Path | None, prices: PriceBook) -> None:
        self._folder, self._prices = folder or Path(), prices
        self._known: dict[str, tuple[Stamp | None, Loaded]] = {}  # bounded by the routes of two policies
        self._named: frozenset[str] = frozenset()

    def of(self, name: str) -> Loaded:
        """As it was read last; one that was not read yet is none."""
        known = self._known.get(name)
        return NOT_READ if known is None else known[1]

    def look(self, policy: Policy) -> None:
        """Read what this policy names, where it is new or has changed; one thread at a time.

        What the policy before it names is kept for one look more: requests may be under way by it.
        """
        artifacts = (route.levers.routing.artifact for route in policy.routes)
        named = frozenset(name for name in artifacts if name is not None)
        kept = {name: self._known[name] for name in self._named - named if name in self._known}
        self._known = kept | {name: self._read(name) for name in named}
        self._named = named

    def _read(self, name: str) -> tuple[Stamp | None, Loaded]:
        stamp = _stamp(self._folder / name)  # before the file is read: what comes meanwhile is read again
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return known
        loaded = load(self._folder / name, self._prices)
        if loaded.problem is not None:
            _log.warning("routing: the strong model alone answers: %s", loaded.problem)
        return stamp, loaded


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
    except Exception as error:  # a fault of ours with this one: the others are read all the same
        return Loaded(None, f"{path}: can not be read: {error!r}")
    return Loaded(artifact, None if changed is None else f"{path}: {changed}; fit it anew")


def _stamp(file: Path) -> Stamp | None:
    try:
        stat = file.stat()
    except (OSError, ValueError):  # a name that no file can have
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
