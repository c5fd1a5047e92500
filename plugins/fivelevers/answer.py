"""One stored answer, as every API can be given it: what the model said, and what it cost to say it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from fivelevers.prices import Usage


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A complete answer: text alone, no tool call, neither truncated nor filtered.

    ``model``, ``provider`` and ``deployment`` answered; ``usage`` is what that call was billed, ``plain`` what it had
    been billed without lever 1 (None: the same); ``created_at`` and ``expires_at`` are seconds since the epoch, and
    being read prolongs nothing. ``tags`` are the caller's own, and those that name tenant and end user
    (``subject_tag``): by them answers are invalidated and forgotten.
    """

    text: str
    model: str
    provider: str
    deployment: str | None
    usage: Usage
    created_at: float
    expires_at: float
    tags: tuple[str, ...] = ()
    plain: Usage | None = None


def subject_tag(subject: str) -> str:
    """The tag of a tenant or an end user: a hash, since tags can be listed by whoever reads the store."""
    return f"~{sha256(subject.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
