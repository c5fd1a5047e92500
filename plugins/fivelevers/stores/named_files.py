"""Files that a policy names, as they are now.

No request waits for a file: they are read before a policy that names them comes into force, and again when they have
changed, by whoever looks at the policy's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from fivelevers.policy import Policy

Stamp = tuple[int, int, int]
Named = TypeVar("Named", bound=Hashable)
Read = TypeVar("Read")


class NamedFiles(Generic[Named, Read]):
    """``named``: what a policy names. ``path``: where that is. ``read``: never raises."""

    def __init__(
        self,
        named: Callable[[Policy], Iterable[Named]],
        path: Callable[[Named], Path],
        read: Callable[[Named], Read],
    ) -> None:
        self._names_of, self._path, self._load = named, path, read
        self._known: dict[Named, tuple[Stamp | None, Read]] = {}  # bounded by the routes of two policies
        self._named: frozenset[Named] = frozenset()

    def known(self, name: Named) -> Read | None:
        """As it was read last; None where it was not read yet."""
        found = self._known.get(name)
        return None if found is None else found[1]

    def look(self, policy: Policy) -> None:
        """Read what this policy names, where it is new or has changed; one thread at a time.

        What the policy before it names is kept for one look more: requests may be under way by it.
        """
        named = frozenset(self._names_of(policy))
        kept = {name: self._known[name] for name in self._named - named if name in self._known}
        self._known = kept | {name: self._read(name) for name in named}
        self._named = named

    def _read(self, name: Named) -> tuple[Stamp | None, Read]:
        stamp = _stamp(self._path(name))  # before the file is read: what comes meanwhile is read again
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return known
        return stamp, self._load(name)


def _stamp(file: Path) -> Stamp | None:
    try:
        stat = file.stat()
    except (OSError, ValueError):  # a name that no file can have
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
