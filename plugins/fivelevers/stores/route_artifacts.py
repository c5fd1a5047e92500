"""The routing artifacts that a policy names, as their files are now.

No request waits for a file: they are read before a policy that names them comes into force, and again when they have
changed, by whoever looks at the policy's own file. What can not be used says why, once, and its route has the strong
model alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
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

_OTHER: Final = {
    True: "is a router's, which decides before anybody answers; fit one with `fivelevers route fit --cascade`",
    False: "is a cascade's, which decides by an answer; name it as `cascade.artifact`, or fit it without --cascade",
}

Stamp = tuple[int, int, int]
Named = tuple[str, bool]
"""A file, and whether a cascade decides by it."""


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
        self._known: dict[Named, tuple[Stamp | None, Loaded]] = {}  # bounded by the routes of two policies
        self._named: frozenset[Named] = frozenset()

    def of(self, name: str, *, cascade: bool = False) -> Loaded:
        """As it was read last; one that was not read yet is none."""
        known = self._known.get((name, cascade))
        return NOT_READ if known is None else known[1]

    def look(self, policy: Policy) -> None:
        """Read what this policy names, where it is new or has changed; one thread at a time.

        What the policy before it names is kept for one look more: requests may be under way by it.
        """
        named = frozenset(_named(policy))
        kept = {one: self._known[one] for one in self._named - named if one in self._known}
        self._known = kept | {one: self._read(*one) for one in named}
        self._named = named

    def _read(self, name: str, cascade: bool) -> tuple[Stamp | None, Loaded]:
        stamp = _stamp(self._folder / name)  # before the file is read: what comes meanwhile is read again
        known = self._known.get((name, cascade))
        if known is not None and known[0] == stamp:
            return known
        loaded = load(self._folder / name, self._prices, cascade=cascade)
        if loaded.problem is not None:
            _log.warning("routing: the strong model alone answers: %s", loaded.problem)
        return stamp, loaded


def _named(policy: Policy) -> Iterator[Named]:
    for route in policy.routes:
        switch = route.levers.routing
        if switch.artifact is not None:
            yield switch.artifact, False
        if switch.cascade is not None and switch.cascade.artifact is not None:
            yield switch.cascade.artifact, True


def load(path: Path, prices: PriceBook, *, cascade: bool = False) -> Loaded:
    """Read an artifact, and whether it holds at these prices; never raises. ``cascade``: what it has to be of."""
    try:
        from fivelevers.levers.routing.artifact import prices_of  # needs numpy, which a proxy without lever 4 may lack
        from fivelevers.stores import route_artifact

        artifact = route_artifact.read(path)
        if artifact.cascade != cascade:
            return Loaded(None, f"{path}: {_OTHER[cascade]}")
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
