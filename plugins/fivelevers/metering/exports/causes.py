"""The likely cause of a difference, by rule: the first rule that fits names it. Pure.

A rule looks at one model's cell and answers with a sentence, or None where it does not fit. Days with the same cause
are told as one finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final

from fivelevers.metering.exports.cells import Cell, Side, merged
from fivelevers.metering.exports.implied_prices import price_words
from fivelevers.prices import Kind

_COMPENSATED: Final = Decimal("0.8")  # the share of a model's daily differences that other days take back
_ESTIMATE_OFF_BY: Final = 2  # our own count of tokens that nobody told is right within this factor
_WRITES: Final = frozenset({Kind.CACHE_WRITE_5M, Kind.CACHE_WRITE_1H})


class Cause(StrEnum):
    MODEL_NAME = "another name for the model"
    DAY_BOUNDARY = "another day boundary (time zone)"
    OTHER_KEYS = "other keys of the account"
    NEVER_REPORTED = "usage that nobody was told (cut streams, calls in flight)"
    CACHE_READS_AS_INPUT = "cache reads counted as input"
    WRITE_SPLIT = "another split of cache writes into 5 minutes and 1 hour"
    WRITES_AS_INPUT = "cache writes counted as input"
    BYPASS = "traffic that did not pass the proxy"
    NOT_SETTLED = "an export that is not complete yet"
    UNPRICED = "no price in the ledger"
    PRICE = "another price"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference and its likely cause. ``tokens`` and ``usd`` are export minus ledger; ``usd`` None: not told."""

    cause: Cause
    provider: str
    model: str
    days: tuple[date, ...]
    tokens: Mapping[Kind, int]
    usd: Decimal | None
    detail: str


def findings(cells: Sequence[Cell], last_day: date) -> tuple[Finding, ...]:
    """Every difference, told once: by model, then in the order of `Cause`. ``last_day``: of the export."""
    models: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        models[cell.provider, cell.model].append(cell)
    found = list(_other_names(models))
    for cell_list in models.values():
        found += _of_model(sorted(cell_list, key=lambda cell: cell.days), last_day)
    return tuple(sorted(found, key=lambda finding: (finding.provider, finding.model, list(Cause).index(finding.cause))))


def _other_names(models: dict[tuple[str, str], list[Cell]]) -> Iterator[Finding]:
    """Models that one side alone knows, with the same usage as one that the other side alone knows; taken out."""
    whole = {name: merged(cells) for name, cells in models.items()}
    ours_alone = [name for name, cell in whole.items() if not cell.theirs.lines]
    theirs_alone = [name for name, cell in whole.items() if not cell.ours.lines]
    for name in theirs_alone:
        same = next((own for own in ours_alone if own[0] == name[0] and _same_usage(whole[own], whole[name])), None)
        if same is not None:
            ours_alone.remove(same)
            del models[name], models[same]
            detail = f"`{name[1]}` in the export has the usage of `{same[1]}` in the ledger: one model, two names"
            yield _finding(Cause.MODEL_NAME, whole[name], detail)


def _same_usage(ours: Cell, theirs: Cell) -> bool:
    if ours.knows.tokens:
        near = (ours.near(Decimal(ours.ours.tokens.get(k, 0)), Decimal(theirs.theirs.tokens.get(k, 0))) for k in Kind)
        return ours.days == theirs.days and all(near)
    return ours.days == theirs.days and ours.near(ours.ours.usd or Decimal(0), theirs.theirs.usd or Decimal(0))


def _of_model(days: list[Cell], last_day: date) -> Iterator[Finding]:
    differing = [cell for cell in days if cell.differs]
    if _days_compensate(differing):
        cell = merged(differing)
        over_all = merged(days)
        rest = "and agree over all days" if not over_all.token_gaps else f"and leave {_signed(over_all.gap)} over all"
        yield _finding(Cause.DAY_BOUNDARY, cell, f"neighbouring days differ by amounts that compensate, {rest}")
        return
    by_cause: defaultdict[Cause, list[Cell]] = defaultdict(list)
    for cell in differing:
        by_cause[_diagnose(cell, last_day)[0]].append(cell)
    for cause, cells in by_cause.items():
        cell = merged(cells)
        again, detail = _diagnose(cell, last_day)
        yield _finding(cause, cell, detail if again is cause else _diagnose(cells[0], last_day)[1])


def _days_compensate(differing: Sequence[Cell]) -> bool:
    """Whether tokens, all kinds alike, moved between neighbouring days."""
    gaps = [cell.gap for cell in differing]
    moved, left = sum(map(abs, gaps), Decimal(0)), abs(sum(gaps, Decimal(0)))
    if not moved or 1 - left / moved < _COMPENSATED:
        return False
    pairs = pairwise(differing)
    return any((b.days[0] - a.days[0]).days == 1 and a.gap * b.gap < 0 for a, b in pairs)


def _diagnose(cell: Cell, last_day: date) -> tuple[Cause, str]:
    for cause, rule in _RULES:
        detail = rule(cell)
        if detail is not None:
            return cause, detail
    if cell.gap < 0 and last_day in cell.days:
        return Cause.NOT_SETTLED, "the export's last day holds less than the ledger: export it again in some hours"
    return Cause.UNEXPLAINED, _unexplained(cell)


def _other_keys(cell: Cell) -> str | None:
    """Where the export names several keys, and one of them alone is what the ledger holds."""
    keys = sorted({key for line in cell.theirs.lines for key in line.keys})
    if len(keys) < 2 or not cell.ours.lines or cell.gap <= 0:
        return None
    for key in keys:
        lines = [line for line in cell.theirs.lines if key in line.keys]
        alone = replace(cell, theirs=Side.of(lines, ledger=False))
        if len(lines) < len(cell.theirs.lines) and not alone.token_gaps and (cell.knows.tokens or not alone.usd_gaps):
            return f"the ledger holds what `{key}` used: compare that alone with --key {key}"
    return None


def _never_reported(cell: Cell) -> str | None:
    """An export never bills less for them, and we can not count them exactly."""
    gaps = cell.token_gaps
    if not gaps or min(gaps.values()) < 0 or not cell.estimated:
        return None
    if sum(gaps.values()) > _ESTIMATE_OFF_BY * cell.estimated_tokens:
        return None
    attempts = "1 attempt" if cell.estimated == 1 else f"{cell.estimated} attempts"
    return f"{attempts} with about {cell.estimated_tokens:,} tokens of our own count stand beside the comparison"


def _moved(cell: Cell, one: frozenset[Kind], other: frozenset[Kind]) -> tuple[int, int] | None:
    """Tokens that the export has more of (kinds ``one``) and as many less of (kinds ``other``), either way round."""
    gaps = cell.token_gaps
    up, down = (sum(gaps.get(kind, 0) for kind in kinds) for kinds in (one, other))
    if not gaps or not gaps.keys() <= one | other or up * down >= 0:
        return None
    # What moved must be the same on both sides, but for what the tolerance lets pass.
    return (up, down) if abs(up + down) <= cell.tolerance * max(cell.ours.total, cell.theirs.total) else None


def _cache_reads_as_input(cell: Cell) -> str | None:
    moved = _moved(cell, frozenset({Kind.INPUT}), frozenset({Kind.CACHE_READ}))
    if moved is None:
        return None
    who = "the export" if moved[0] > 0 else "the ledger"
    return f"{who} counts {abs(moved[1]):,} cache reads as input"


def _write_split(cell: Cell) -> str | None:
    moved = _moved(cell, frozenset({Kind.CACHE_WRITE_5M}), frozenset({Kind.CACHE_WRITE_1H}))
    if moved is None:
        return None
    longer, shorter = ("ledger", "export") if moved[0] > 0 else ("export", "ledger")
    return f"{abs(moved[1]):,} tokens are 1 hour writes in the {longer} and 5 minute writes in the {shorter}"


def _writes_as_input(cell: Cell) -> str | None:
    moved = _moved(cell, frozenset({Kind.INPUT}), _WRITES)
    if moved is None:
        return None
    who = "the export" if moved[0] > 0 else "the ledger"
    return f"{who} counts {abs(moved[1]):,} tokens written to the cache as input"


def _bypass(cell: Cell) -> str | None:
    """More on the export in every kind that it has."""
    kinds = _kinds_told(cell)
    gaps = cell.token_gaps if cell.knows.tokens else cell.usd_gaps
    if not kinds or kinds != gaps.keys() or min(gaps.values()) < 0:
        return None
    keys = sorted({key for line in cell.theirs.lines for key in line.keys})
    hint = f"; the export names {', '.join(keys[:4])}: leave out with --key what is not the proxy's" if keys else ""
    return f"the export has more of every kind: calls past the proxy, or other keys of the account{hint}"


def _kinds_told(cell: Cell) -> set[Kind | None]:
    """The kinds that the export has something of; None stands for dollars of all kinds together."""
    if cell.knows.tokens:
        return {kind for kind, count in cell.theirs.tokens.items() if count}
    if cell.knows.usd_by_kind:
        return {kind for kind, usd in cell.theirs.usd_by_kind.items() if usd}
    return {None}


def _unpriced(cell: Cell) -> str | None:
    if not cell.unknown_usd or cell.token_gaps:
        return None
    attempts = "1 attempt has" if cell.unpriced == 1 else f"{cell.unpriced} attempts have"
    return f"{attempts} no known price: state it in the price override file (FIVELEVERS_PRICES)"


def _price(cell: Cell) -> str | None:
    return price_words(cell) if cell.usd_gaps and not cell.token_gaps else None


# From the most specific to the least: what a later rule would explain too, an earlier one explains better.
_RULES: Final[tuple[tuple[Cause, Callable[[Cell], str | None]], ...]] = (
    (Cause.OTHER_KEYS, _other_keys),
    (Cause.NEVER_REPORTED, _never_reported),
    (Cause.CACHE_READS_AS_INPUT, _cache_reads_as_input),
    (Cause.WRITE_SPLIT, _write_split),
    (Cause.WRITES_AS_INPUT, _writes_as_input),
    (Cause.UNPRICED, _unpriced),
    (Cause.PRICE, _price),
    (Cause.BYPASS, _bypass),
)


def _unexplained(cell: Cell) -> str:
    if cell.gap < 0:
        return "the ledger has more: another account's keys in it (--ledger-key), or a part of the export is missing"
    if not cell.knows.tokens:
        return "give the usage export too: without tokens a price can not be told from traffic"
    return "the kinds differ in no known pattern"


def _finding(cause: Cause, cell: Cell, detail: str) -> Finding:
    usd = None
    if cell.knows.usd and cell.ours.usd is not None:
        usd = (cell.theirs.usd or Decimal(0)) - cell.ours.usd
    return Finding(cause, cell.provider, cell.model, cell.days, cell.token_gaps, usd, detail)


def _signed(gap: Decimal) -> str:
    return f"{gap:+,.4f}".rstrip("0").rstrip(".")
