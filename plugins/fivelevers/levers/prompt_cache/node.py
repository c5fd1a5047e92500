"""What is remembered of a prefix: when it was last seen, the entries believed live, and the class it is judged by."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple

# last seen; TTL and end of the entry, and of the client's alone; turn, visits, class, role
_PACKED = struct.Struct("<dIfIfHHHB")
STATE_BYTES = _PACKED.size
_MAX = 0xFFFF


class Role(IntEnum):
    """What a prefix was to the request that last went through it.

    ``HEAD``: the end of the tools or of the system prompt. ``TIP``: the request's end. ``EVE``: the last place before
    its last block. ``INNER``: between. ``BRANCH``: where requests part.
    """

    HEAD = 0
    TIP = 1
    EVE = 2
    INNER = 3
    BRANCH = 4


class Entry(NamedTuple):
    """A cache entry that we believe live: its TTL in seconds, and when it ends unless a read refreshes it."""

    ttl_s: int
    ends_at: float


class Node(NamedTuple):  # hundreds of them are read for a request
    """The state of one prefix. Times are seconds since the epoch.

    ``turn``: requests that this prefix extends, itself included where one ended here. ``visits``: requests that went
    through it, as far as they were recorded. ``class_id``: the reuse class of the visit at ``last_seen``, 0 for none.
    ``entry``: what the provider should hold; ``client_entry``: what it would hold had only the client marked.
    """

    last_seen: float
    role: Role
    turn: int = 0
    visits: int = 1
    class_id: int = 0
    entry: Entry | None = None
    client_entry: Entry | None = None

    def pack(self) -> bytes:
        """``STATE_BYTES`` bytes. Ends of entries keep 1 ms or better."""
        ttl_s, left_s = _left(self.entry, self.last_seen)
        client_ttl_s, client_left_s = _left(self.client_entry, self.last_seen)
        turn, visits = min(self.turn, _MAX), min(self.visits, _MAX)
        entries = (ttl_s, left_s, client_ttl_s, client_left_s)
        return _PACKED.pack(self.last_seen, *entries, turn, visits, self.class_id, self.role)

    @classmethod
    def unpack(cls, state: bytes) -> Node:
        """Raises ValueError for what ``pack`` did not make."""
        try:
            last_seen, ttl_s, left_s, client_ttl_s, client_left_s, turn, visits, class_id, role = _PACKED.unpack(state)
            known = _ROLES[role]
        except (struct.error, IndexError) as error:
            raise ValueError(f"not a node's state: {error}") from error
        entry = Entry(ttl_s, last_seen + left_s) if ttl_s else None
        client_entry = Entry(client_ttl_s, last_seen + client_left_s) if client_ttl_s else None
        return cls(last_seen, known, turn, visits, class_id, entry, client_entry)


_ROLES = tuple(Role)


def unpacked(states: Sequence[tuple[bytes, bytes]]) -> dict[bytes, Node]:
    """Nodes by name, of pairs of name and state; what ``pack`` did not make is left out.

    The places between the ends of requests, most of a long prompt, have one state for each request that first went
    through them: each state is read once.
    """
    read: dict[bytes, Node] = {}
    for state in {state for _, state in states}:
        with suppress(ValueError):
            read[state] = Node.unpack(state)
    return {name: read[state] for name, state in states if state in read}


def _left(entry: Entry | None, last_seen: float) -> tuple[int, float]:
    return (0, 0.0) if entry is None else (entry.ttl_s, entry.ends_at - last_seen)
