"""The logs of one audit: files, folders, globs, standard input and ledgers, read into arrival order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from fivelevers.audit import folders, ledger_log
from fivelevers.audit.apart import reading
from fivelevers.audit.arrival import in_order, merged
from fivelevers.audit.beside import Beside, Work
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.opened import STDIN
from fivelevers.audit.read import read
from fivelevers.errors import AuditError
from fivelevers.stores.content_key import Keys
from fivelevers.stores.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Calls:
    """``read``: every call, told of an account and of bytes that were read. ``beside``: the process that does the work
    that was asked for; None where the log is not worth it, or not in files alone.
    """

    read: Callable[[Account, Callable[[int], None]], Iterator[LoggedCall]]
    beside: Beside[Any, Any] | None

    def __call__(self, account: Account, progress: Callable[[int], None]) -> Iterator[LoggedCall]:
        return self.read(account, progress)


@dataclass(frozen=True, slots=True)
class Sources:
    """Names as they were given, globs and folders expanded; each once."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> Sources:
        """Raises AuditError for what is not there."""
        found: list[str] = []
        for name in names:
            matching = sorted(glob(name, recursive=True)) if has_magic(name) else [name]  # absolute too
            if not matching or not (name == STDIN or "://" in name or all(Path(one).exists() for one in matching)):
                fix = "name a log file, a folder of some, a glob, a ledger's URL, or - for stdin"
                raise AuditError.of("log", name, "is not there", fix)
            for one in matching:
                found += folders.files(one) if Path(one).is_dir() else [one]
        return cls(tuple(dict.fromkeys(found)))

    @property
    def size(self) -> int:
        """Bytes of all files; what is no file counts as none."""
        return sum(Path(name).stat().st_size for name in self.names if _is_file(name))

    @contextmanager
    def reading(self, share: float = 1.0, work: Work[Any, Any] | None = None) -> Iterator[Calls]:
        """Gives what gives every call, in the order in which they were sent; both are in use once.

        Large files are read by several processes, which begin here: before there are threads, such as a progress
        bar's, and with them one that does the ``work``. ``share``: see `Account`.

        Raises AuditError, LedgerError, ContentError, OSError.
        """
        files = [name for name in self.names if _is_file(name)]
        alone = len(files) == len(self.names)
        with reading(files, share, work if alone else None) as apart:
            here = self.names if apart is None else tuple(name for name in self.names if not _is_file(name))

            def calls(account: Account, progress: Callable[[int], None]) -> Iterator[LoggedCall]:
                read_here = in_order(call for name in here for call in _calls(name, account, progress))
                found = read_here if apart is None else merged([*apart.runs(account, progress), read_here])
                return map(account.labelled, found)  # the first comes when all are read

            yield Calls(calls, None if apart is None else apart.beside)


def _is_file(name: str) -> bool:
    return name != STDIN and not ledger_log.is_ledger(name)


def _calls(name: str, account: Account, progress: Callable[[int], None]) -> Iterator[LoggedCall]:
    if not ledger_log.is_ledger(name):
        yield from read(name, account, progress)
        return
    ledger = Ledger(ledger_log.url_of(name))
    try:
        yield from ledger_log.read(ledger, account, Keys.from_environment())
    finally:
        ledger.close()
