"""What is remembered of a prefix: when it was last seen, the entries believed live, and the class it is judged by."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

# last seen; TTL and end of the entry, and of the one that the client's marks alone would have left; visits; class; role
_PACKED = struct.Struct("<dIfIfHHB")
STATE_BYTES = _PACKED.size
_MAX = 0xFFFF


class Role(IntEnum):
    """What a prefix was when it was last seen: a section's end, a request's end, between, or where requests parted."""

    HEAD = 0
    TIP = 1
    INNER = 2
    BRANCH = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A cache entry that we believe live: its TTL in seconds, and when it ends unless a read refreshes it."""

    ttl_s: int
    ends_at: float

    def live(self, now: float) -> bool:
        return now < self.ends_at


@dataclass(frozen=True, slots=True)
class Node:
    """The state of one prefix. Times are seconds since the epoch.

    ``visits``: requests that went through it, or for a tip the turn that made it. ``class_id``: the reuse class of the
    last visit, see ``reuse``. ``entry``: what the provider should hold; ``client_entry``: what it would hold had only
    the client marked.
    """

    last_seen: float
    role: Role
    visits: int = 1
    class_id: int = 0
    entry: Entry | None = None
    client_entry: Entry | None = None

    def pack(self) -> bytes:
        """``STATE_BYTES`` bytes; times keep 0.1 s or better."""
        ttl_s, left_s = _packed(self.entry, self.last_seen)
        client_ttl_s, client_left_s = _packed(self.client_entry, self.last_seen)
        visits = min(self.visits, _MAX)
        return _PACKED.pack(
            self.last_seen, ttl_s, left_s, client_ttl_s, client_left_s, visits, self.class_id, self.role
        )

    @classmethod
    def unpack(cls, state: bytes) -> Node:
        """Raises ValueError for what ``pack`` did not make."""
        try:
            last_seen, ttl_s, left_s, client_ttl_s, client_left_s, visits, class_id, role = _PACKED.unpack(state)
            entry = Entry(ttl_s, last_seen + left_s) if ttl_s else None
            client_entry = Entry(client_ttl_s, last_seen + client_left_s) if client_ttl_s else None
            return cls(last_seen, Role(role), visits, class_id, entry, client_entry)
        except struct.error as error:
            raise ValueError(f"not a node's state: {error}") from error


def _packed(entry: Entry | None, last_seen: float) -> tuple[int, float]:
    return (0, 0.0) if entry is None else (entry.ttl_s, entry.ends_at - last_seen)
