"""Bills beside a log: how much of what a provider charged its calls come to, and so what an audit speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Final

from fivelevers.audit.answer_lines import Charge
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.opened import STDIN, opened
from fivelevers.errors import ExportError
from fivelevers.metering.exports.lines import DAY_S, ZERO, Export, Line, plain_model
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.read import read

BYTES_AT_MOST: Final = 64 * 2**20
"""Of a bill, unpacked: one of a year by day, model and key has less."""


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    unpriced: int = 0
    tokens: int = 0
    usd: Decimal = ZERO


class Days:
    """What the calls of each day (UTC) come to, by provider. Takes them in any order."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sum] = {}

    def see(self, call: LoggedCall, charge: Charge | None) -> None:
        """``charge`` None: no price is known. The provider is known by now."""
        key = (call.provider or "", int(call.at // DAY_S))
        one = self._sums.get(key)
        if one is None:
            one = self._sums[key] = _Sum()
        one.calls += 1
        one.tokens += call.usage.total
        if charge is None:
            one.unpriced += 1
        else:
            one.usd += charge.paid

    def within(self, provider: str, days: range) -> _Sum:
        found = _Sum()
        for (name, day), one in self._sums.items():
            if name == provider and day in days:
                found.calls += one.calls
                found.unpriced += one.unpriced
                found.tokens += one.tokens
                found.usd += one.usd
        return found


@dataclass(frozen=True, slots=True)
class Billed:
    """One model of a bill; tokens and USD are None where the bill tells none."""

    model: str
    tokens: int | None
    prompt: int | None
    read: int | None
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Bill:
    """What one file says. ``usd``: of all tokens, None where it tells none; ``other_usd``: not for tokens."""

    export: Export
    models: tuple[Billed, ...]

    @property
    def usd(self) -> Decimal | None:
        return sum((line.usd or ZERO for line in self.export.lines), ZERO) if self.export.usd else None

    @property
    def other_usd(self) -> Decimal:
        return sum((charge.usd for charge in self.export.charges), ZERO)


@dataclass(frozen=True, slots=True)
class Beside:
    """A bill and the log's calls of the same days, [``first``, ``until``) in days since the epoch. ``whole``: none of
    these is the log's first or last day, of which it may hold a part."""

    first: int
    until: int
    whole: bool
    billed_usd: Decimal | None
    billed_tokens: int | None
    calls: int
    unpriced: int
    usd: Decimal
    tokens: int

    @property
    def share(self) -> float | None:
        """Of the bill, what the log's calls come to: of its dollars, else of its tokens. None: there is nothing."""
        if self.billed_usd is not None:
            return float(self.usd / self.billed_usd) if self.billed_usd > 0 else None
        return self.tokens / self.billed_tokens if self.billed_tokens else None


@dataclass(frozen=True, slots=True)
class Bills:
    """``unread``: what was no bill that can be read, and why."""

    read: list[Bill] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def bills(names: Iterable[str]) -> Bills:
    """Of the files with such rows. Raises OSError."""
    found = Bills()
    for name in sorted(names):
        if name == STDIN:
            found.unread.append("standard input: name the bill as a file, to have it held against the log")
            continue
        try:
            with opened(name) as file:
                data = file.read(BYTES_AT_MOST + 1)
            if len(data) > BYTES_AT_MOST:
                raise ExportError.of("export", None, "is larger than 64 MB", "export fewer days", file=name)
            export = read(data, name)
        except ExportError as error:
            found.unread.append(str(error))
        except EOFError:
            found.unread.append(f"{name}: breaks off, or is damaged; fetch it again")
        else:
            found.read.append(Bill(export, tuple(_models(export))))
    return found


def beside(bill: Bill, days: Days, first: float, last: float) -> Beside | None:
    """``first`` and ``last``: when calls of the log were sent. None: bill and log have no day in common, or the bill
    is of several providers."""
    export = bill.export
    if export.provider is None or not first <= last:
        return None
    of_log = range(int(first // DAY_S), int(last // DAY_S) + 1)
    of_bill = range(int(export.start // DAY_S), -int(-export.until // DAY_S))
    inner = _both(range(of_log.start + 1, of_log.stop - 1), of_bill)
    both = inner or _both(of_log, of_bill)
    if not both:
        return None
    lines = [line for line in export.lines if line.at // DAY_S in both]
    ours = days.within(export.provider, both)
    return Beside(
        first=both.start,
        until=both.stop,
        whole=bool(inner),
        billed_usd=sum((line.usd or ZERO for line in lines), ZERO) if export.usd else None,
        billed_tokens=sum(line.tokens or 0 for line in lines) if export.tokens else None,
        calls=ours.calls,
        unpriced=ours.unpriced,
        usd=ours.usd,
        tokens=ours.tokens,
    )


def _both(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _models(export: Export) -> Iterator[Billed]:
    """The dearest first, else the one with the most tokens."""
    named = sorted(export.lines, key=_name)
    found = [_billed(model, list(lines), export) for model, lines in groupby(named, _name)]
    yield from sorted(found, key=lambda one: (-(one.usd or ZERO), -(one.tokens or 0)))


def _name(line: Line) -> str:
    return "all models" if line.model is None else plain_model(line.model)


def _billed(model: str, lines: list[Line], export: Export) -> Billed:
    counted = export.tokens and all(line.kind is not None for line in lines)
    by_kind = {kind: sum(line.tokens or 0 for line in lines if line.kind is kind) for kind in Kind}
    return Billed(
        model,
        sum(by_kind.values()) if export.tokens else None,
        sum(by_kind.values()) - by_kind[Kind.OUTPUT] if counted else None,
        by_kind[Kind.CACHE_READ] if counted else None,
        sum((line.usd or ZERO for line in lines), ZERO) if export.usd else None,
    )
