"""The ledger against the provider's bill: tokens by kind first, then dollars, for each key and model.

What may rightly stand on the bill alone is set apart before the comparison, named by response id and with its reason:
usage that the provider never told anybody, and calls in flight when a worker was killed. Any other call that the ledger
does not know, or knows with other tokens, breaks the verdict, however small it is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fivelevers.prices import Kind

TOLERANCE: Final = Decimal("0.001")
"""The share by which tokens and dollars of a key and model may differ."""


@dataclass(frozen=True, slots=True)
class Line:
    """Tokens of one kind that one key used on one model. `usd` None: the price is unknown."""

    key: str
    model: str
    kind: Kind
    tokens: int
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class BillEntry:
    """One call on the bill; `at` in seconds since the epoch. `usage_reported`: the caller was told the tokens."""

    id: str
    at: float
    key: str
    model: str
    tokens: Mapping[Kind, int]
    usd: Decimal
    usage_reported: bool


class Why(StrEnum):
    """Why an entry of the bill is not in the ledger, or not so."""

    NEVER_REPORTED = "never reported"  # a cut stream: nobody was told the tokens
    ESTIMATED = "estimated by us"  # the client left the stream before the provider said: the ledger has its own count
    IN_FLIGHT_AT_KILL = "in flight at the kill"
    OTHER_TOKENS = "other tokens in the ledger"
    UNEXPLAINED = "unexplained"


_SET_APART: Final = frozenset({Why.NEVER_REPORTED, Why.ESTIMATED, Why.IN_FLIGHT_AT_KILL})


@dataclass(frozen=True, slots=True)
class BillAlone:
    """An entry that stands on the bill alone."""

    entry: BillEntry
    why: Why


class Verdict(StrEnum):
    """Of one key and model. Only `AGREED` is agreement."""

    AGREED = "agreed"
    TOKENS_DIFFER = "tokens differ"
    DOLLARS_DIFFER = "dollars differ"
    UNPRICED = "price unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One key and model; the tokens are (ledger, bill) by kind. Entries set apart are not in the bill's side."""

    key: str
    model: str
    tokens: Mapping[Kind, tuple[int, int]]
    ledger_usd: Decimal | None
    bill_usd: Decimal | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The comparison. `bill_alone` lists what the ledger does not have: set apart, or unexplained."""

    rows: tuple[Row, ...]
    bill_alone: tuple[BillAlone, ...]

    @property
    def agreed(self) -> bool:
        """Whether every key and model agrees and nothing on the bill is unexplained."""
        return all(row.verdict is Verdict.AGREED for row in self.rows) and not self.unexplained

    @property
    def set_apart(self) -> tuple[BillAlone, ...]:
        return tuple(alone for alone in self.bill_alone if alone.why in _SET_APART)

    @property
    def unexplained(self) -> tuple[BillAlone, ...]:
        return tuple(alone for alone in self.bill_alone if alone.why not in _SET_APART)


def reconcile(
    ledger: Iterable[Line],
    bill: Iterable[Line],
    *,
    tolerance: Decimal = TOLERANCE,
    ledger_calls: Mapping[str, int] = MappingProxyType({}),
    estimated_ids: Collection[str] = frozenset(),
    bill_entries: Iterable[BillEntry] = (),
    kill_windows: Sequence[tuple[float, float]] = (),
) -> Reconciliation:
    """Compares the two. Estimated usage has no place in `ledger`.

    `ledger_calls`: tokens by provider request id of the ledger's rows with reported usage; `estimated_ids`: of those
    that it estimated (they have no place in `ledger` either); `bill_entries`: the calls behind `bill`, each in its
    lines too; `kill_windows`: (from, to) in seconds since the epoch, when a killed worker may have had calls in flight.
    Without entries nothing is set apart.
    """
    tell = _Teller(ledger_calls, frozenset(estimated_ids), tolerance, kill_windows)
    alone = tuple(BillAlone(entry, why) for entry in bill_entries if (why := tell.why(entry)) is not None)
    ours, theirs = _Sums.of(ledger), _Sums.of(bill)
    for apart in alone:
        if apart.why in _SET_APART:
            theirs.take_out(apart.entry)
    rows = (_row(key, model, ours, theirs, tolerance) for key, model in sorted(ours.usd.keys() | theirs.usd.keys()))
    return Reconciliation(tuple(rows), alone)


@dataclass(frozen=True, slots=True)
class _Teller:
    """Tells why an entry is not in the ledger, or not so; None where it is."""

    known: Mapping[str, int]
    estimated: Collection[str]
    tolerance: Decimal
    kill_windows: Sequence[tuple[float, float]]

    def why(self, entry: BillEntry) -> Why | None:
        billed = sum(entry.tokens.values())
        if entry.id in self.known and _near(Decimal(self.known[entry.id]), Decimal(billed), self.tolerance):
            return None
        if entry.id in self.estimated:
            return Why.ESTIMATED
        if entry.id not in self.known and any(start <= entry.at <= end for start, end in self.kill_windows):
            return Why.IN_FLIGHT_AT_KILL
        if not entry.usage_reported:
            return Why.NEVER_REPORTED
        return Why.OTHER_TOKENS if entry.id in self.known else Why.UNEXPLAINED


class _Sums:
    """Tokens by key, model and kind, and dollars by key and model; None where a price is unknown."""

    def __init__(self) -> None:
        self.tokens: defaultdict[tuple[str, str, Kind], int] = defaultdict(int)
        self.usd: dict[tuple[str, str], Decimal | None] = {}

    @classmethod
    def of(cls, lines: Iterable[Line]) -> "_Sums":
        sums = cls()
        for line in lines:
            sums.tokens[line.key, line.model, line.kind] += line.tokens
            so_far = sums.usd.get((line.key, line.model), Decimal(0))
            sums.usd[line.key, line.model] = None if so_far is None or line.usd is None else so_far + line.usd
        return sums

    def take_out(self, entry: BillEntry) -> None:
        for kind, tokens in entry.tokens.items():
            self.tokens[entry.key, entry.model, kind] -= tokens
        billed = self.usd.get((entry.key, entry.model), Decimal(0))
        self.usd[entry.key, entry.model] = None if billed is None else billed - entry.usd


def _row(key: str, model: str, ours: _Sums, theirs: _Sums, tolerance: Decimal) -> Row:
    tokens = {kind: (ours.tokens[key, model, kind], theirs.tokens[key, model, kind]) for kind in Kind}
    ledger_usd, bill_usd = ours.usd.get((key, model), Decimal(0)), theirs.usd.get((key, model), Decimal(0))
    verdict = _verdict(tokens, ledger_usd, bill_usd, tolerance)
    return Row(key, model, {kind: pair for kind, pair in tokens.items() if any(pair)}, ledger_usd, bill_usd, verdict)


def _verdict(
    tokens: Mapping[Kind, tuple[int, int]], ledger_usd: Decimal | None, bill_usd: Decimal | None, tolerance: Decimal
) -> Verdict:
    if not all(_near(Decimal(ours), Decimal(theirs), tolerance) for ours, theirs in tokens.values()):
        return Verdict.TOKENS_DIFFER
    if ledger_usd is None or bill_usd is None:
        return Verdict.UNPRICED
    return Verdict.AGREED if _near(ledger_usd, bill_usd, tolerance) else Verdict.DOLLARS_DIFFER


def _near(ours: Decimal, theirs: Decimal, tolerance: Decimal) -> bool:
    """Relative to the bill; against a bill of 0 only 0 is near."""
    return abs(ours - theirs) <= tolerance * abs(theirs)
