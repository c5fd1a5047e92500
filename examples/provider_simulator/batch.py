"""A batch, whatever the provider: its rows, when each of them finishes, and how it ends.

validating -> running -> finalizing -> ended. Of the time that a batch takes, validation has the first twentieth, rows
finish evenly from a tenth to nine tenths, in an order of their own, and the rest is finalizing. A batch that expires or
is cancelled ends with the rows that have finished by then.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import orjson

from examples.provider_simulator.errors import Provider
from examples.provider_simulator.fields import Json

Phase = Literal["validating", "running", "finalizing", "cancelling", "ended"]
Ending = Literal["completed", "failed", "expired", "cancelled"]
State = Literal["waiting", "succeeded", "errored", "expired", "cancelled", "refused"]
_LEFT: Mapping[Ending, State] = {"failed": "refused", "expired": "expired", "cancelled": "cancelled"}

WINDOW_S = 86_400.0
VALIDATED, FIRST_ROW, LAST_ROW = 0.05, 0.10, 0.90  # shares of the time that a batch takes


@dataclass(slots=True)
class Row:
    """`body` is the request as JSON, emptied once it has run; `digest` tells equal bodies apart from others."""

    custom_id: str
    body: bytes
    digest: str
    state: State = "waiting"
    usd: Decimal = Decimal(0)


def row_of(custom_id: str, body: Json) -> Row:
    raw = bytes(memoryview(orjson.dumps(body)))  # a copy: orjson's own keep kilobytes of slack
    return Row(custom_id, raw, hashlib.blake2b(raw, digest_size=8).hexdigest())


class Provides(Protocol):
    """What a provider does with a batch, at seconds since the epoch of the simulator's clock."""

    def admits(self, batch: "Batch") -> bool:
        """Whether the batch passes validation; if not, it keeps the reasons itself."""

    def runs(self, batch: "Batch", row: Row, at: float) -> None:
        """Answer the row, bill it and set its state."""

    def ends(self, batch: "Batch", at: float) -> None:
        """Lay out the results; every row has its state."""


@dataclass(slots=True)
class Batch:
    """`order`: the indices of the rows as they finish.

    It stops before its end, as `stops_as`, at `stops_at` (it expires, a cancellation is through) or, by a fault, once
    `stops_after` rows have run. `over_limit` is a fault too: validation finds too many enqueued tokens.
    """

    id: str
    provider: Provider
    workspace: str
    model: str
    created_at: float
    takes_s: float
    rows: Sequence[Row]
    order: Sequence[int]
    does: Provides
    phase: Phase = "validating"
    ending: Ending | None = None
    stops_at: float = field(init=False)
    stops_after: int = field(init=False)
    stops_as: Ending = "expired"
    listed_at: float = 0.0
    over_limit: bool = False
    deleted: bool = False
    faults: list[str] = field(default_factory=list)
    entered: dict[str, float] = field(default_factory=dict)
    ran: int = 0
    succeeded: int = 0

    def __post_init__(self) -> None:
        self.stops_at = self.expires_at
        self.stops_after = len(self.rows)

    @property
    def expires_at(self) -> float:
        return self.created_at + WINDOW_S

    @property
    def errored(self) -> int:
        return self.ran - self.succeeded

    def moment(self, share: float) -> float:
        return self.created_at + share * self.takes_s

    def row_moment(self, number: int) -> float:
        """When the row that finishes as the `number`th, from 0, does."""
        return self.moment(FIRST_ROW + (LAST_ROW - FIRST_ROW) * (number + 1) / len(self.rows))

    def next_at(self) -> float:
        """When something happens to it next; infinity once it has ended."""
        if self.phase == "validating":
            return self.moment(VALIDATED)
        if self.phase == "running":
            more = self.ran < self.stops_after
            return min(self.row_moment(self.ran) if more else self.moment(LAST_ROW), self.stops_at)
        if self.phase == "finalizing":
            return self.moment(1.0)
        return self.stops_at if self.phase == "cancelling" else float("inf")

    def step(self) -> None:
        """Let happen what is next."""
        at = self.next_at()
        if self.phase == "validating":
            if self.does.admits(self):
                self.enter("running", at)
            else:
                self._end("failed", at)
        elif self.phase == "finalizing":
            self._end("completed", at)
        elif self.phase == "running" and self.ran == len(self.rows):
            self.enter("finalizing", at)
        elif at == self.stops_at or self.ran == self.stops_after:
            self._end(self.stops_as, at)
        else:
            self._run_next(at)

    def cancel(self, now: float, takes_s: float) -> None:
        """Start no further row; it has ended `takes_s` later."""
        self.enter("cancelling", now)
        self.stops_at, self.stops_as = now + takes_s, "cancelled"

    def enter(self, phase: Phase, at: float) -> None:
        self.phase = phase
        self.entered[phase] = at

    def _run_next(self, at: float) -> None:
        row = self.rows[self.order[self.ran]]
        self.does.runs(self, row, at)
        row.body = b""
        self.ran += 1
        self.succeeded += row.state == "succeeded"

    def _end(self, ending: Ending, at: float) -> None:
        for row in self.rows:
            row.body = b""
            if row.state == "waiting":
                row.state = _LEFT[ending]
        if ending == "cancelled":
            self.entered.setdefault("cancelling", at)
        self.ending = ending
        self.enter("ended", at)
        self.does.ends(self, at)
