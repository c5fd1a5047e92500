"""One stored answer, as every API can be given it: what the model said, and what it cost to say it."""

from __future__ import annotations

from dataclasses import dataclass

from fivelevers.prices import Usage


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A complete answer: text alone, no tool call, neither truncated nor filtered.

    ``model``, ``provider`` and ``deployment`` answered; ``usage`` is what that call was billed; ``created_at`` and
    ``expires_at`` are seconds since the epoch, and being read prolongs nothing. ``tags`` are the caller's own, by which
    answers are invalidated.
    """

    text: str
    model: str
    provider: str
    deployment: str | None
    usage: Usage
    created_at: float
    expires_at: float
    tags: tuple[str, ...] = ()
