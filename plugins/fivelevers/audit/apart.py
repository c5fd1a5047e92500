"""Large logs, read on every core: files, and parts of them (JSON lines, Parquet), by processes that each write runs.

What no other process can read (standard input, a ledger) is read by this one.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from fivelevers.audit.arrival import Run, stored, write_runs
from fivelevers.audit.beside import Beside, Work
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.opened import Part
from fivelevers.audit.parquet import RowGroups
from fivelevers.audit.processes import end_with_parent
from fivelevers.audit.read import read
from fivelevers.audit.rows import parts
from fivelevers.errors import AuditError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

WORTH_IT: Final = 64 * 2**20
"""Bytes of logs, as they lie on the disk: what is smaller takes seconds."""

_PART_BYTES: Final = 32 * 2**20


@dataclass(frozen=True, slots=True)
class _Piece:
    name: str
    part: Part | RowGroups | None
    size: int  # bytes on the disk


@dataclass(frozen=True, slots=True)
class _Told:
    worker: int
    runs: list[Run]
    account: Account


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


class Reading:
    """Files that are being read. Begin it before there are threads: the processes are forked.

    ``beside``: goes over their calls too, once they are read.
    """

    def __init__(
        self, names: Sequence[str], stack: ExitStack, processes: int, share: float, work: Work[Any, Any] | None
    ) -> None:
        self._pieces = [piece for name in names for piece in _pieces(name)]
        self._files = [stack.enter_context(TemporaryFile()) for _ in range(processes)]  # noqa: SIM115  # the stack closes
        context = multiprocessing.get_context("fork")
        self.beside = None if work is None else Beside(self._files, work, stack, context)
        taken = context.Value("i", 0)
        self._pool = ProcessPoolExecutor(processes, context, partial(_begin, self._files, taken))
        stack.callback(self._pool.shutdown, cancel_futures=True)
        self._told = [self._pool.submit(_read, piece, share) for piece in self._pieces]

    def runs(self, account: Account, progress: Callable[[int], None]) -> list[Iterator[LoggedCall]]:
        """The runs of all files, once they are read. Raises AuditError, OSError."""
        sizes: dict[Future[_Told], int] = dict(zip(self._told, (piece.size for piece in self._pieces), strict=True))
        try:
            for done in as_completed(self._told):
                done.result()
                progress(sizes[done])
        except BrokenProcessPool as error:
            fix = "free some memory, or audit a part of the log"
            raise AuditError.of("log", None, "was not read: a reading process was killed", fix) from error
        self._pool.shutdown()
        places: list[tuple[int, Run]] = []
        for told in (future.result() for future in self._told):
            account.add(told.account)
            places += [(told.worker, run) for run in told.runs]
        if self.beside is not None:
            self.beside.begin(places)
        return [stored(self._files[at], run) for at, run in places]


@contextmanager
def reading(names: Sequence[str], share: float = 1.0, work: Work[Any, Any] | None = None) -> Iterator[Reading | None]:
    """None where it is not worth it. ``share``: see `Account`."""
    processes = min(cores(), 16)
    size = sum(Path(name).stat().st_size for name in names)
    if size < WORTH_IT or processes < 2:
        yield None
        return
    with ExitStack() as stack:
        yield Reading(names, stack, processes, share, work)


def _pieces(name: str) -> Iterable[_Piece]:
    found = parts(name, _PART_BYTES)
    if found:
        return [_Piece(name, part, part.size) for part in found]
    return [_Piece(name, None, Path(name).stat().st_size)]


_worker: int
_file: IO[bytes]


def _begin(files: Sequence[IO[bytes]], taken: Synchronized[int]) -> None:
    global _worker, _file  # noqa: PLW0603  # what a process of the pool has to itself
    with taken.get_lock():
        _worker = taken.value
        taken.value += 1
    _file = files[_worker]
    end_with_parent()
    gc.disable()  # calls are trees, and hundreds of thousands of them are kept for a moment


def _read(piece: _Piece, share: float) -> _Told:
    account = Account(share)
    runs = write_runs(read(piece.name, account, part=piece.part), _file)
    gc.collect()
    return _Told(_worker, runs, account)
