"""The ledger against a provider's export: differences by day, model or kind of token, and their likely causes. Pure.

The verdict is on every model, day and kind by itself, whatever the rows that are shown add up to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from fivelevers.metering.exports.causes import Finding, findings
from fivelevers.metering.exports.cells import Cell, Knows, Side, cells_of
from fivelevers.metering.exports.lines import Books, Export
from fivelevers.prices import Kind


class By(StrEnum):
    DAY = "day"
    MODEL = "model"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class Row:
    """Both sides of one day, model or kind. None: that side does not tell, or the ledger knows no price."""

    group: str
    ledger_tokens: int | None
    export_tokens: int | None
    ledger_usd: Decimal | None
    export_usd: Decimal | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    export: Export
    knows: Knows
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]
    estimated: int  # attempts whose tokens we counted ourselves: on no side of the comparison

    @property
    def agrees(self) -> bool:
        return not any(cell.differs for cell in self.cells)

    def rows(self, by: By) -> list[Row]:
        if by is By.KIND:
            return [row for kind in Kind if (row := self._kind_row(kind)) is not None]
        groups: defaultdict[str, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            groups[str(cell.days[0]) if by is By.DAY else f"{cell.provider}/{cell.model}"].append(cell)
        return [self._row(name, groups[name]) for name in sorted(groups)]

    def _row(self, group: str, cells: Iterable[Cell]) -> Row:
        cells = tuple(cells)
        ours, theirs = _sides(cells)
        return Row(
            group,
            ours.total,
            theirs.total if self.knows.tokens else None,
            ours.usd,
            theirs.usd if self.knows.usd else None,
            agrees=not any(cell.differs for cell in cells),
        )

    def _kind_row(self, kind: Kind) -> Row | None:
        ours, theirs = _sides(self.cells)
        if not ours.tokens.get(kind) and not theirs.tokens.get(kind) and not theirs.usd_by_kind.get(kind):
            return None
        return Row(
            kind.value,
            ours.tokens.get(kind, 0),
            theirs.tokens.get(kind, 0) if self.knows.tokens else None,
            None if ours.usd is None else ours.usd_by_kind.get(kind, Decimal(0)),
            theirs.usd_by_kind.get(kind, Decimal(0)) if self.knows.usd_by_kind else None,
            agrees=not any(kind in cell.token_gaps or kind in cell.usd_gaps for cell in self.cells),
        )


def _sides(cells: tuple[Cell, ...]) -> tuple[Side, Side]:
    ours = Side.of((line for cell in cells for line in cell.ours.lines), ledger=True)
    return ours, Side.of((line for cell in cells for line in cell.theirs.lines), ledger=False)


def compare(export: Export, books: Books, tolerance: Decimal) -> Comparison:
    """``tolerance`` is the share of the export by which tokens and dollars of a cell may differ."""
    cells = tuple(cells_of(export, books, tolerance))
    estimated = sum(aside.estimated for aside in books.asides)
    return Comparison(export, Knows.of(export), cells, findings(cells, export.last_day), estimated)
