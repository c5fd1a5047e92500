"""The routing artifacts that a policy names. What can not be used says why, once, and its route has the strong model
alone.
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
from fivelevers.stores.named_files import NamedFiles

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact

_INSTALL: Final = "pip install 'fivelevers[routing]'"

_log = logging.getLogger("fivelevers.routing")

_OTHER: Final = {
    True: "is a router's, which decides before anybody answers; fit one with `fivelevers route fit --cascade`",
    False: "is a cascade's, which decides by an answer; name it as `cascade.artifact`, or fit it without --cascade",
}

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
        self._files: NamedFiles[Named, Loaded] = NamedFiles(_named, lambda named: self._folder / named[0], self._read)

    def of(self, name: str, *, cascade: bool = False) -> Loaded:
        """As it was read last; one that was not read yet is none."""
        return self._files.known((name, cascade)) or NOT_READ

    def look(self, policy: Policy) -> None:
        self._files.look(policy)

    def _read(self, named: Named) -> Loaded:
        loaded = load(self._folder / named[0], self._prices, cascade=named[1])
        if loaded.problem is not None:
            _log.warning("routing: the strong model alone answers: %s", loaded.problem)
        return loaded


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
