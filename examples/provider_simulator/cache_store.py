"""Where cached prefixes live, whatever the provider's rules: a prefix's chained hash, and until when it is there."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

MAX_ENTRIES = 200_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached prefix of `tokens` tokens; every read moves `expires_at` to `ttl_s` after the reader's start."""

    tokens: int
    ttl_s: float
    expires_at: float
    latest_at: float = float("inf")  # the end that no read can move


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What one request reads and writes, in tokens. `entries` become readable when its answer begins."""

    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    entries: tuple[tuple[bytes, Entry], ...] = ()


class CacheStore:
    """Bounded; the entries that were written or read longest ago go first."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}

    def live(self, prefix: bytes, now: float) -> Entry | None:
        entry = self._entries.get(prefix)
        return entry if entry and entry.expires_at > now else None

    def put(self, entries: Iterable[tuple[bytes, Entry]]) -> None:
        """Store written prefixes, and refreshed ones: an older write never shortens a life."""
        for prefix, entry in entries:
            known = self._entries.pop(prefix, None)
            longer = known and known.expires_at > entry.expires_at
            self._entries[prefix] = known if known and longer else entry
        while len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]

    def clear(self) -> None:
        self._entries.clear()


def refreshed(entry: Entry, now: float) -> Entry:
    return Entry(entry.tokens, entry.ttl_s, min(now + entry.ttl_s, entry.latest_at), entry.latest_at)


def chain(previous: bytes, *content: str) -> bytes:
    """The hash of a prefix that is `previous` followed by `content`; the lengths keep the parts apart."""
    digest = hashlib.blake2b(previous, digest_size=16)
    for text in content:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()
