"""A second process that goes over the calls of a long log, while this one does: what it says of each comes in order.

Both read the same runs of the same files by position, so that no call is sent from one to the other.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext
from typing import IO, Any, Final, Generic, TypeVar

from fivelevers.audit.arrival import Run, merged, stored
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.processes import end_with_parent, sweep_the_young
from fivelevers.errors import AuditError

Value = TypeVar("Value")
Result = TypeVar("Result")
Work = Callable[[Iterator[LoggedCall]], Generator[Value, None, Result]]
"""Yields one value for each call, in their order, and returns what is to be known at the end."""

_TOGETHER: Final = 256  # values that are sent as one
_Place = tuple[int, Run]  # the number of a file, and a run in it


class Beside(Generic[Value, Result]):
    """Begin it before there are threads: the process is forked. ``files``: those that will hold the runs."""

    def __init__(
        self, files: Sequence[IO[bytes]], work: Work[Value, Result], stack: ExitStack, context: ForkContext
    ) -> None:
        self._here, there = context.Pipe()
        self._held: deque[Value] = deque()
        process = context.Process(target=_go_over, args=(files, work, there), daemon=True)
        process.start()
        there.close()
        stack.callback(process.join)
        stack.callback(process.terminate)
        stack.callback(self._here.close)

    def begin(self, places: Sequence[_Place]) -> None:
        """Once the runs are written: its values are in the order of these runs, merged."""
        self._here.send(places)

    def next(self) -> Value:
        """Of the next call. Raises AuditError."""
        if not self._held:
            self._held.extend(self._received())
        return self._held.popleft()

    def result(self) -> Result:
        """After the value of the last call. Raises AuditError."""
        found: Result = self._received()
        return found

    def _received(self) -> Any:
        try:
            return self._here.recv()
        except (EOFError, OSError) as error:
            fix = "free some memory, or audit a part of the log"
            raise AuditError.of("log", None, "was not audited: a process was killed, or failed", fix) from error


def _go_over(files: Sequence[IO[bytes]], work: Work[Value, Result], there: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it ends it
    end_with_parent()
    sweep_the_young()
    values = work(merged([stored(files[at], run) for at, run in there.recv()]))
    held: list[Value] = []
    while True:
        try:
            held.append(next(values))
        except StopIteration as end:
            if held:
                there.send(held)
            there.send(end.value)
            return
        if len(held) == _TOGETHER:
            there.send(held)
            held = []
