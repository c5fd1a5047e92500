"""Repeats: the same request again in one session says that the answer before it failed.

Copies of a request whose times overlap are one burst: a hundred identical calls at once are no hundred retries. Where a
burst begins within the window after the one before had ended, the last answer of that one failed; so each repeat speaks
about one answer, and the answers of one burst fail once at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copy:
    """One of several identical requests of a session: from its arrival to the end of its last attempt (epoch seconds).

    ``window_s``: how long after an answer this request, coming again, still speaks about it.
    """

    request_id: str
    asked_at: float
    ended_at: float
    window_s: float


def repeated(copies: Iterable[Copy]) -> dict[str, Copy]:
    """The request whose answer failed -> the copy that says so. The order of ``copies`` does not matter."""
    failed: dict[str, Copy] = {}
    before: Copy | None = None  # of the copies so far, the one whose answer ended last
    for copy in sorted(copies, key=lambda copy: (copy.asked_at, copy.request_id)):
        if before is not None and before.ended_at < copy.asked_at <= before.ended_at + copy.window_s:
            failed[before.request_id] = copy
        before = copy if before is None else max(before, copy, key=_end)
    return failed


def _end(copy: Copy) -> tuple[float, str]:
    return copy.ended_at, copy.request_id
