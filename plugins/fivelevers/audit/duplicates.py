"""Calls that are the same as an earlier one: lever 2's exact tier and its single-flight, on a log."""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from typing import Final

TTL_S: Final = 86_400.0
"""How long an answer is given again: the lever's default."""

WAIT_S: Final = 5.0
"""How long a request waits for the answer to the same one: the lever's default. A log without ends of calls is read as
if every answer took that long."""

KNOWN_AT_MOST: Final = 500_000  # about 100 MB; the oldest is forgotten


class Same(StrEnum):
    NEW = "new"
    ANSWERED = "answered"  # earlier, within the time to live
    AT_ONCE = "at once"  # sent while the first was on its way
    TOO_SLOW = "too slow"  # so too, but that took longer than anybody waits


class FirstAnswers:
    """Takes the calls in arrival order. Memory: the answers of one time to live, ``at_most``."""

    def __init__(self, at_most: int = KNOWN_AT_MOST) -> None:
        self._at_most = at_most
        self._answered: OrderedDict[bytes, float] = OrderedDict()  # when; the oldest first

    def see(self, key: bytes, at: float, ended: float | None, *, stored: bool) -> Same:
        """``key``: what must be the same. ``stored``: this call's own answer may be given to others."""
        known = self._answered.get(key)
        same = self._compared(known, at)
        if stored and same in (Same.NEW, Same.TOO_SLOW):
            own = max(at, at + WAIT_S if ended is None else ended)
            if same is Same.NEW:
                self._answered.pop(key, None)  # it ran out: this one stands at the end
            self._answered[key] = own if known is None or same is Same.NEW else min(own, known)
            self._forget(at)
        return same

    @staticmethod
    def _compared(known: float | None, at: float) -> Same:
        if known is None or known + TTL_S <= at:
            return Same.NEW
        if known <= at:
            return Same.ANSWERED
        return Same.AT_ONCE if known - at <= WAIT_S else Same.TOO_SLOW

    def _forget(self, now: float) -> None:
        while self._answered:
            oldest = next(iter(self._answered))
            if len(self._answered) <= self._at_most and self._answered[oldest] + TTL_S > now:
                return
            self._answered.popitem(last=False)
