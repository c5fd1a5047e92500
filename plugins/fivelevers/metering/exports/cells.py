"""Both sides of the comparison, added up for one model on one day, or on several. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from fivelevers.metering.exports.lines import ZERO, Aside, Books, Export, Line, day_of, plain_model
from fivelevers.prices import Kind

ALL_MODELS = "(all models)"


class Knows(NamedTuple):
    """What an export tells: nothing is compared that it does not tell."""

    tokens: bool
    usd: bool
    usd_by_kind: bool
    models: bool

    @classmethod
    def of(cls, export: Export) -> Knows:
        priced = [line for line in export.lines if line.usd is not None]
        return cls(
            tokens=export.tokens,
            usd=export.usd,
            usd_by_kind=export.usd and all(line.kind is not None for line in priced),
            models=all(line.model is not None for line in export.lines),
        )


@dataclass(frozen=True, slots=True)
class Side:
    """What one side states. ``usd`` None: unknown, or not told; ``usd_by_kind`` empty: not told by kind."""

    lines: tuple[Line, ...]
    tokens: Mapping[Kind, int]
    usd: Decimal | None
    usd_by_kind: Mapping[Kind, Decimal]

    @classmethod
    def of(cls, lines: Iterable[Line], *, ledger: bool) -> Side:
        """In the ledger a line without dollars has an unknown price; in an export it says nothing of dollars."""
        lines = tuple(lines)
        tokens: Counter[Kind] = Counter()
        by_kind: defaultdict[Kind, Decimal] = defaultdict(Decimal)
        for line in lines:
            if line.kind is not None and line.tokens:
                tokens[line.kind] += line.tokens
            if line.kind is not None and line.usd is not None:
                by_kind[line.kind] += line.usd
        unknown = ledger and any(line.usd is None for line in lines)
        usd = None if unknown else sum((line.usd for line in lines if line.usd is not None), ZERO)
        return cls(lines, tokens, usd, dict(by_kind))

    @property
    def total(self) -> int:
        return sum(self.tokens.values())

    def rounding_usd(self, kind: Kind | None) -> Decimal:
        """How far the dollars of a kind, or of all (None), may be off because the source rounds."""
        return sum((line.rounding_usd for line in self.lines if kind in (None, line.kind)), ZERO)

    def rate(self, kind: Kind) -> Decimal | None:
        """USD per token of a kind, as this side has it on average."""
        tokens = self.tokens.get(kind)
        return self.usd_by_kind[kind] / tokens if tokens and kind in self.usd_by_kind else None


@dataclass(frozen=True, slots=True)
class Cell:
    """One model, on one day or on ``days``: the ledger's side and the export's, and what the ledger leaves aside."""

    provider: str
    model: str
    days: tuple[date, ...]
    ours: Side
    theirs: Side
    knows: Knows
    tolerance: Decimal
    estimated: int = 0
    estimated_tokens: int = 0
    unpriced: int = 0

    @property
    def token_gaps(self) -> dict[Kind, int]:
        """Export minus ledger, for each kind beyond the tolerance."""
        if not self.knows.tokens:
            return {}
        pairs = ((kind, self.ours.tokens.get(kind, 0), self.theirs.tokens.get(kind, 0)) for kind in Kind)
        return {kind: theirs - ours for kind, ours, theirs in pairs if not self.near(Decimal(ours), Decimal(theirs))}

    @property
    def usd_gaps(self) -> dict[Kind | None, Decimal]:
        """Export minus ledger, for each kind beyond the tolerance; under None where only the sum is told."""
        if not self.knows.usd or self.ours.usd is None or self.theirs.usd is None:
            return {}
        pairs: dict[Kind | None, tuple[Decimal, Decimal]] = {None: (self.ours.usd, self.theirs.usd)}
        if self.knows.usd_by_kind:
            pairs = {k: (self.ours.usd_by_kind.get(k, ZERO), self.theirs.usd_by_kind.get(k, ZERO)) for k in Kind}
        slack = self.theirs.rounding_usd
        return {k: theirs - ours for k, (ours, theirs) in pairs.items() if not self.near(ours, theirs, slack(k))}

    @property
    def unknown_usd(self) -> bool:
        """Whether the export states dollars for what the ledger has no price for."""
        return self.knows.usd and self.ours.usd is None

    @property
    def differs(self) -> bool:
        return bool(self.token_gaps or self.usd_gaps or self.unknown_usd)

    @property
    def gap(self) -> Decimal:
        """Export minus ledger over all kinds: in tokens where they are known, else in USD."""
        if self.knows.tokens:
            return Decimal(self.theirs.total - self.ours.total)
        return (self.theirs.usd or ZERO) - (self.ours.usd or ZERO)

    def near(self, ours: Decimal, theirs: Decimal, slack: Decimal = ZERO) -> bool:
        """Relative to the export; against an export of 0 only 0 is near."""
        return abs(ours - theirs) <= self.tolerance * abs(theirs) + slack


def merged(cells: Iterable[Cell]) -> Cell:
    """The same model over several days. ``cells`` has one at least."""
    cells = tuple(cells)
    return replace(
        cells[0],
        days=tuple(sorted({day for cell in cells for day in cell.days})),
        ours=Side.of((line for cell in cells for line in cell.ours.lines), ledger=True),
        theirs=Side.of((line for cell in cells for line in cell.theirs.lines), ledger=False),
        estimated=sum(cell.estimated for cell in cells),
        estimated_tokens=sum(cell.estimated_tokens for cell in cells),
        unpriced=sum(cell.unpriced for cell in cells),
    )


def cells_of(export: Export, books: Books, tolerance: Decimal) -> list[Cell]:
    """One cell for each model and UTC day that either side knows."""
    knows = Knows.of(export)
    ours: defaultdict[tuple[date, str, str], list[Line]] = defaultdict(list)
    theirs: defaultdict[tuple[date, str, str], list[Line]] = defaultdict(list)
    asides: defaultdict[tuple[date, str, str], list[Aside]] = defaultdict(list)
    for side, lines in ((ours, books.lines), (theirs, export.lines)):
        for line in lines:
            side[line.day, line.provider, _model(line.model, knows)].append(line)
    for aside in books.asides:
        asides[day_of(aside.at), aside.provider, _model(aside.model, knows)].append(aside)
    return [
        Cell(
            provider,
            model,
            (day,),
            Side.of(ours[day, provider, model], ledger=True),
            Side.of(theirs[day, provider, model], ledger=False),
            knows,
            tolerance,
            estimated=sum(aside.estimated for aside in asides[day, provider, model]),
            estimated_tokens=sum(aside.estimated_tokens for aside in asides[day, provider, model]),
            unpriced=sum(aside.unpriced for aside in asides[day, provider, model]),
        )
        for day, provider, model in sorted(ours.keys() | theirs.keys())
    ]


def _model(name: str | None, knows: Knows) -> str:
    return plain_model(name) if name is not None and knows.models else ALL_MODELS
