"""What an export of a provider states, and what the ledger holds for the same days, in the same words. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from fivelevers.prices import Kind

DAY_S = 86_400.0
ZERO = Decimal(0)


def day_of(at: float) -> date:
    """The UTC day of a moment in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).date()


@dataclass(frozen=True, slots=True)
class Line:
    """Tokens or dollars, or both, of one model in the time bucket that begins at ``at`` (seconds since the epoch, UTC).

    ``model`` None: the export does not tell models apart. ``kind`` None: it does not tell dollars apart by kind.
    ``tokens`` None: no tokens are stated. ``usd`` None: an export states none; the ledger knows no price.
    ``rounding_usd`` is how far ``usd`` may be off because the source rounds; ``keys`` name the account's API key,
    project or workspace, as the export does.
    """

    at: float
    provider: str
    model: str | None
    kind: Kind | None
    tokens: int | None = None
    usd: Decimal | None = None
    rounding_usd: Decimal = ZERO
    keys: tuple[str, ...] = ()

    @property
    def day(self) -> date:
        return day_of(self.at)


@dataclass(frozen=True, slots=True)
class Charge:
    """Dollars that are not for tokens (a web search); no ledger row stands against them."""

    at: float
    what: str
    usd: Decimal
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Export:
    """One file, or several taken together. It covers [``start``, ``until``), seconds since the epoch.

    ``provider`` None: of several providers. ``tokens`` and ``usd`` say whether this kind of export tells them at all,
    lines or none; ``quantities``: its tokens are the quantities of a cost export, which yield to those of a usage
    export. ``cut``: the file is not the last page.
    """

    source: str
    provider: str | None
    start: float
    until: float
    lines: tuple[Line, ...]
    charges: tuple[Charge, ...] = ()
    tokens: bool = True
    usd: bool = True
    quantities: bool = False
    cut: bool = False

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(key for line in self.lines for key in line.keys)

    @property
    def last_day(self) -> date:
        return day_of(self.until - 1)

    def within(self, start: float, until: float) -> Export:
        lines = tuple(line for line in self.lines if start <= line.at < until)
        charges = tuple(charge for charge in self.charges if start <= charge.at < until)
        return replace(self, start=max(start, self.start), until=min(until, self.until), lines=lines, charges=charges)

    def of_keys(self, keys: Collection[str]) -> Export:
        """Only what these keys, projects or workspaces used."""
        lines = tuple(line for line in self.lines if not set(keys).isdisjoint(line.keys))
        charges = tuple(charge for charge in self.charges if not set(keys).isdisjoint(charge.keys))
        return replace(self, lines=lines, charges=charges)


@dataclass(frozen=True, slots=True)
class Aside:
    """Attempts that have no place in the comparison, or no price, of one model on the day that begins at ``at``.

    ``estimated`` attempts have tokens of our own count (``estimated_tokens``), since the provider never told them.
    """

    at: float
    provider: str
    model: str
    estimated: int = 0
    estimated_tokens: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger's side: what providers reported, and what is left aside."""

    lines: tuple[Line, ...]
    asides: tuple[Aside, ...] = ()


def combined(exports: Sequence[Export]) -> Export:
    """Pages of one export, or its usage and its costs, as one; it covers what both tokens and dollars cover."""
    counted = [e for e in exports if e.tokens and not e.quantities] or [e for e in exports if e.tokens]
    priced = [e for e in exports if e.usd]
    spans = [(min(e.start for e in part), max(e.until for e in part)) for part in (counted, priced) if part]
    start, until = max(s for s, _ in spans), min(u for _, u in spans)
    providers = {e.provider for e in exports}
    return Export(
        source=" + ".join(dict.fromkeys(e.source for e in exports)),
        provider=providers.pop() if len(providers) == 1 else None,
        start=start,
        until=until,
        lines=tuple(line for e in exports for line in _told(e, tokens=any(e is one for one in counted))),
        charges=tuple(charge for e in exports for charge in e.charges),
        tokens=bool(counted),
        usd=bool(priced),
        cut=len(exports) == 1 and exports[0].cut,
    ).within(start, until)


def _told(export: Export, *, tokens: bool) -> Iterator[Line]:
    for line in export.lines:
        told = line if tokens else replace(line, tokens=None)
        if told.tokens is not None or told.usd is not None:
            yield told


_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|20\d{6}|latest)$")
_EMBEDDING_VERSION = re.compile(r"^(text-embedding-.*)-v\d+$")


def plain_model(name: str) -> str:
    """One name for a model's snapshots and spellings.

    >>> [plain_model(name) for name in ("gpt-4.1-2025-04-14", "claude-haiku-4-5-20251001", "openai/gpt-4.1")]
    ['gpt-4.1', 'claude-haiku-4-5', 'gpt-4.1']
    >>> plain_model("Claude Haiku 4.5"), plain_model("Claude 3.5 Sonnet 2024-10-22")
    ('claude-haiku-4-5', 'claude-3-5-sonnet')
    """
    plain = name.strip().lower().rpartition("/")[2]
    if plain.startswith("claude"):
        plain = re.sub(r"[ .]", "-", plain)
    return _EMBEDDING_VERSION.sub(r"\1", _SNAPSHOT.sub("", plain))


def renamed(lines: Iterable[Line]) -> dict[str, str]:
    """The export's own name of each model that is compared under another one."""
    pairs = ((line.model, plain_model(line.model)) for line in lines if line.model is not None)
    return {model: plain for model, plain in pairs if model != plain}
