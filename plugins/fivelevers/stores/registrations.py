"""The registrations that a policy names: verdicts of a gate by which quantised deployments may have traffic.

What can not be used says why, once, and the original alone answers on its route.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.gated import Gated, refusal
from fivelevers.policy import Policy
from fivelevers.stores import gated
from fivelevers.stores.named_files import NamedFiles

_log = logging.getLogger("fivelevers.quantization")


@dataclass(frozen=True, slots=True)
class Registered:
    """``name``: by which deployments are bound to it. ``problem``: why it lets nothing pass."""

    found: Gated | None
    name: str = ""
    problem: str | None = None


NOT_READ: Final = Registered(None, problem="its file was not read yet")


class Registrations:
    """``folder``: that names are relative to."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder or Path()
        self._files: NamedFiles[str, Registered] = NamedFiles(_named, lambda name: self._folder / name, self._read)

    def of(self, name: str) -> Registered:
        """As it was read last."""
        return self._files.known(name) or NOT_READ

    def look(self, policy: Policy) -> None:
        self._files.look(policy)

    def _read(self, name: str) -> Registered:
        loaded = load(self._folder / name)
        if loaded.problem is not None:
            _log.warning("quantization: the original alone answers: %s", loaded.problem)
        return loaded


def load(path: Path) -> Registered:
    """Never raises."""
    try:
        found = gated.read(path)
        why = refusal(found)
        return Registered(found, gated.name_of(path), None if why is None else f"{path}: {why}")
    except QuantizationError as error:
        return Registered(None, problem=str(error))
    except OSError as error:
        return Registered(None, problem=f"{path}: can not be read: {error.strerror or error}")
    except Exception as error:  # a fault of ours with this one: the others are read all the same
        return Registered(None, problem=f"{path}: can not be read: {error!r}")


def _named(policy: Policy) -> Iterator[str]:
    names = (route.levers.quantization.registration for route in policy.routes)
    return (name for name in names if name is not None)
