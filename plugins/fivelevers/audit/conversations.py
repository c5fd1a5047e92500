"""Who was answered: a call whose prompt goes on from an earlier one shows that somebody had waited for that answer."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from fivelevers.levers.batch.eligibility import MIN_WAIT_S
from fivelevers.request import Request, SegmentKind

REPLY_S: Final = MIN_WAIT_S
"""A reply within this time tells that the answer was needed before the shortest deadline that the batch lane takes."""

AT_MOST: Final = 50_000
"""Calls that are remembered, the latest: some 12 MB."""

_BLOCKS = 16  # the last turn and its answer have rarely more
_DIGEST_BYTES = 16


@dataclass(slots=True)
class Turn:
    """``live``: somebody replied to its answer, or it is such a reply itself. ``at``: seconds since the epoch."""

    at: float
    live: bool = False


class Conversations:
    """Takes the calls in arrival order."""

    def __init__(self, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._turns: OrderedDict[bytes, Turn] = OrderedDict()  # by what was said until then; the oldest first

    def see(self, scope: str, request: Request | None, at: float) -> Turn:
        """``scope``: within which replies are looked for. A call without a prompt is in no conversation that shows."""
        turn = Turn(at)
        if request is not None:
            whole, before = _said(scope, request)
            for earlier in (self._turns.get(digest) for digest in before):
                if earlier is not None and at - earlier.at <= REPLY_S:
                    earlier.live = turn.live = True
            self._turns.pop(whole, None)
            self._turns[whole] = turn
            self._forget(at)
        return turn

    def _forget(self, now: float) -> None:
        while self._turns:
            oldest = next(iter(self._turns))
            if len(self._turns) <= self._at_most and now - self._turns[oldest].at <= REPLY_S:
                return
            self._turns.popitem(last=False)


def _said(scope: str, request: Request) -> tuple[bytes, list[bytes]]:
    """Digests of all messages, and of those before each place where the model had its say, the last ones.

    Without the system prompt, which may hold the time of the day.
    """
    said = [segment for segment in request.segments if segment.kind is SegmentKind.MESSAGE]
    digest, before = sha256(scope.encode("utf-8", "surrogatepass")), []
    for at, segment in enumerate(said):
        if at and at >= len(said) - _BLOCKS and segment.role in ("assistant", ""):  # "": an item of the Responses API
            before.append(digest.copy().digest()[:_DIGEST_BYTES])
        digest.update(segment.digest)
    return digest.digest()[:_DIGEST_BYTES], before
