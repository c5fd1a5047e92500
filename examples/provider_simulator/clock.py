"""The simulator's time: real time, plus what `POST /sim/clock` has added."""

import time


class Clock:
    def __init__(self) -> None:
        self._advanced_s = 0.0

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time() + self._advanced_s

    def advance(self, seconds: float) -> None:
        """Move on; time never goes back, because cache entries and bill entries are ordered by it."""
        if not 0 <= seconds <= 10 * 365 * 86_400:
            raise ValueError(f"advance_s: {seconds} is not in 0..315360000; give the seconds to move forward")
        self._advanced_s += seconds
