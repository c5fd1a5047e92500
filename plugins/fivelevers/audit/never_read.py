"""Cache writes that were surely never read, told from token counts alone.

An entry reaches from the start of the prompt to where it was written, so a call that reads fewer tokens than an earlier
call had read can not have read what that one wrote behind. Of what a call wrote, the part above the largest number of
tokens that any call to the same model read within the lifetime was read by nobody: a lower bound, since that largest
reader may have read another prefix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class NeverRead(Generic[Owner]):
    """Writes of one lifetime to one model, in the order in which they were sent. Memory: the calls of one lifetime."""

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._writes: deque[tuple[float, int, int, Owner]] = deque()  # sent at, first token, last token, whose
        self._reads: deque[tuple[float, int]] = deque()  # descending: each is the largest from its time on

    def see(self, at: float, read: int, start: int, end: int, owner: Owner) -> list[tuple[Owner, int]]:
        """The next call: it read the first ``read`` tokens of its prompt and wrote those from ``start`` to ``end``.

        Tells the waste of the earlier writes whose lifetime has passed by now, each with its owner.
        """
        wasted = list(self._settled(at))
        while self._reads and self._reads[-1][1] <= read:
            self._reads.pop()
        if read:
            self._reads.append((at, read))
        if end > start:
            self._writes.append((at, start, end, owner))
        return wasted

    def _settled(self, now: float) -> Iterator[tuple[Owner, int]]:
        while self._writes and self._writes[0][0] + self._lifetime_s < now:
            sent_at, start, end, owner = self._writes.popleft()
            while self._reads and self._reads[0][0] <= sent_at:
                self._reads.popleft()
            largest = self._reads[0][1] if self._reads else 0
            wasted = end - min(max(largest, start), end)
            if wasted:
                yield owner, wasted
