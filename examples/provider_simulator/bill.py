"""The bill: what every answered request used and what that costs, exact to the last decimal."""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from examples.provider_simulator.prices import KINDS, Model

MILLION = Decimal(1_000_000)
MAX_ENTRIES = 250_000

_LineKey = tuple[str, str, str, str, bool]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request by kind of price; `input` is what was neither read from a cache nor written to one."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def all_input(self) -> int:
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))

    def by_kind(self) -> dict[str, int]:
        return {kind: getattr(self, kind) for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Entry:
    """One billed request. `usage_reported` is False when the caller can not have read the usage from the answer.

    `batch` is the id of the batch that it was a row of, "" when it was live.
    """

    id: str
    request_id: str
    at: float
    key: str
    model: Model
    api: str
    stream: bool
    usage: Usage
    usage_reported: bool
    batch: str = ""
    custom_id: str = ""

    def usd_by_kind(self) -> dict[str, Decimal]:
        used = {kind: count for kind, count in self.usage.by_kind().items() if count}
        whole = self.usage.all_input
        batch = bool(self.batch)
        return {kind: count * self.model.price(kind, whole, batch=batch) / MILLION for kind, count in used.items()}

    @property
    def usd(self) -> Decimal:
        return sum(self.usd_by_kind().values(), Decimal(0))

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "request_id": self.request_id,
            "at": self.at,
            "key": self.key,
            "provider": self.model.provider,
            "model": self.model.name,
            "api": self.api,
            "stream": self.stream,
            "tokens": self.usage.by_kind(),
            "usd": plain(self.usd),
            "usage_reported": self.usage_reported,
            "batch": self.batch or None,
            "custom_id": self.custom_id or None,
        }


class Bill:
    """Totals by key, model, kind, and batch or live, since the start or the last reset; the newest entries singly."""

    def __init__(self) -> None:
        self.requests = 0
        self.entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._tokens: Counter[_LineKey] = Counter()
        self._usd: defaultdict[_LineKey, Decimal] = defaultdict(Decimal)

    def add(self, entry: Entry) -> None:
        self.requests += 1
        self.entries.append(entry)
        for kind, usd in entry.usd_by_kind().items():
            line = (entry.key, entry.model.provider, entry.model.name, kind, bool(entry.batch))
            self._tokens[line] += getattr(entry.usage, kind)
            self._usd[line] += usd

    def as_json(self, *, detail: bool = False) -> dict[str, Any]:
        body: dict[str, Any] = {"requests": self.requests, "lines": [self._line(key) for key in sorted(self._tokens)]}
        if detail:
            body["entries"] = [entry.as_json() for entry in self.entries]
        return body

    def _line(self, line: _LineKey) -> Mapping[str, Any]:
        key, provider, model, kind, batch = line
        head = {"key": key, "provider": provider, "model": model, "kind": kind, "batch": batch}
        return head | {"tokens": self._tokens[line], "usd": plain(self._usd[line])}


def plain(amount: Decimal) -> str:
    """A decimal without exponent and trailing zeros."""
    return format(amount.normalize(), "f")
