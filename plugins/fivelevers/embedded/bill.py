"""The simulator's bill, and the ledger held against it. To us it is a provider: only its HTTP is known here."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.request import urlopen

from fivelevers.metering.event import UsageSource
from fivelevers.metering.reconcile import BillEntry, Line, Reconciliation, reconcile
from fivelevers.prices import Kind
from fivelevers.stores.ledger import Ledger
from fivelevers.stores.reconcile_query import calls, reported_lines

_SETTLE_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Bill:
    """What the provider charged: summed lines, and each call under both of its names (response id, request id)."""

    lines: tuple[Line, ...]
    calls: tuple[tuple[BillEntry, str], ...]


def fetch(simulator_url: str) -> Bill:
    with urlopen(f"{simulator_url}/sim/bill?detail=1", timeout=30) as answer:  # noqa: S310  our own loopback server
        return parse(json.load(answer))


def parse(bill: Mapping[str, Any]) -> Bill:
    lines = tuple(
        Line(key_name(row["key"]), row["model"], Kind(row["kind"]), row["tokens"], Decimal(row["usd"]))
        for row in bill["lines"]
    )
    return Bill(lines, tuple((_entry(row), row["request_id"]) for row in bill["entries"]))


def _entry(row: Mapping[str, Any]) -> BillEntry:
    return BillEntry(
        id=row["id"],
        at=float(row["at"]),
        key=key_name(row["key"]),
        model=row["model"],
        tokens={Kind(kind): count for kind, count in row["tokens"].items() if count},
        usd=Decimal(row["usd"]),
        usage_reported=row["usage_reported"],
    )


def key_name(api_key: str) -> str:
    """As the plugin fingerprints a provider account's key."""
    return sha256(api_key.encode()).hexdigest()[:8]


def compare(
    ledger: Ledger, bill: Bill, *, since: float = 0.0, kill_windows: Sequence[tuple[float, float]] = ()
) -> Reconciliation:
    """The ledger since ``since`` (seconds since the epoch) against the whole bill."""
    reported, estimated = calls(ledger, UsageSource.REPORTED, since), calls(ledger, UsageSource.ESTIMATED, since)
    return reconcile(
        reported_lines(ledger, since),
        bill.lines,
        ledger_calls=_named_as_billed(bill, reported),
        estimated_ids=_named_as_billed(bill, estimated),
        bill_entries=[entry for entry, _ in bill.calls],
        kill_windows=kill_windows,
    )


def _named_as_billed(bill: Bill, ours: Mapping[str, int]) -> dict[str, int]:
    """LiteLLM passes on one of a call's two names, which one depends on the API: found under either, it is known."""
    return {entry.id: ours[name] for entry, request_id in bill.calls for name in (entry.id, request_id) if name in ours}


def settled(ledger_url: str, simulator_url: str) -> Reconciliation:
    """The comparison, once the proxy's last events are in the ledger. Raises LedgerError."""
    ledger = Ledger(ledger_url)
    try:
        ledger.create()
        deadline = time.monotonic() + _SETTLE_LIMIT_S
        while True:
            told = compare(ledger, fetch(simulator_url))
            if told.agreed or time.monotonic() > deadline:
                return told
            time.sleep(0.5)
    finally:
        ledger.close()
