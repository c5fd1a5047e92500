"""Calls of one origin in time: bursts, which nobody types, and starts by the clock, which nobody keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

QUIET_S: Final = 60.0
"""A run begins after so long without a call of the same origin, and ends with it."""

BURST_CALLS: Final = 20
BURST_GAP_S: Final = 2.0
"""A burst is a run of so many calls at least, so far apart on average at most. Between two calls of random traffic at
such a pace, a quiet of a minute has a chance of e^-30: a burst has a beginning and an end that somebody gave it."""

BURST_S: Final = 1800.0
"""What goes on for longer than this is traffic, not a burst."""

PEOPLE: Final = 3
"""Behind a run that names so many end users there may be people who wait."""

STARTS: Final = 5
"""So many runs at least tell a clock. By chance five start within the same two minutes of the hour once in 160,000
origins: 5 x (1/30)^4."""

ON_TIME: Final = 0.9
_STARTS_AT_MOST: Final = 64


@dataclass(slots=True)
class Run:
    """Calls between two quiet times; seconds since the epoch."""

    first: float
    last: float
    calls: int = 0
    people: tuple[str, ...] = ()
    told: bool = False  # somebody counted it

    @property
    def burst(self) -> bool:
        span_s = self.last - self.first
        slow = span_s > min(BURST_S, BURST_GAP_S * self.calls)
        return self.calls >= BURST_CALLS and not slow and len(self.people) < PEOPLE


@dataclass(slots=True)
class Series:
    """Takes the times of calls in their order. Memory: of the latest run, and of 64 starts.

    ``minute``: of the hour, in which or in the one behind it nearly all of the latest runs began, the last one too;
    None: no clock shows.
    """

    run: Run | None = None
    minute: int | None = None
    starts: bytes = b""  # each the minute of its hour

    def see(self, at: float, end_user: str | None) -> Run:
        """The run that the next call is in."""
        run = self.run
        if run is None or at - run.last >= QUIET_S:
            run = self.run = Run(at, at)
            self.starts = self.starts[1 - _STARTS_AT_MOST :] + bytes((int(at // 60) % 60,))
            self.minute = _clock(self.starts)
        run.last, run.calls = at, run.calls + 1
        if end_user and len(run.people) < PEOPLE and end_user not in run.people:
            run.people += (end_user,)
        return run


def _clock(starts: bytes) -> int | None:
    if len(starts) < STARTS:
        return None
    for minute in (starts[-1], (starts[-1] - 1) % 60):
        if starts.count(minute) + starts.count((minute + 1) % 60) >= ON_TIME * len(starts):
            return minute
    return None
