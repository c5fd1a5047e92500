"""Every batch and every row that ever came: what ran, what ran twice, what was billed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from examples.provider_simulator.batch import Batch, Row
from examples.provider_simulator.batches import Batches
from examples.provider_simulator.bill import plain

_ZERO = Decimal(0)
_RAN = {"succeeded", "errored"}

_Pair = tuple[Batch, Row]


def report(batches: Batches, *, detail: bool) -> dict[str, Any]:
    """`repeated`: custom ids and bodies that came in more than once under one key, and how often each of them ran."""
    every = list(batches.by_id.values())
    rows = [(batch, row) for batch in every for row in batch.rows]
    body: dict[str, Any] = {
        "settings": batches.settings.as_json(),
        "batches": [_batch(batch) for batch in every],
        "rows": {"submitted": len(rows), **Counter(row.state for _, row in rows)},
        "repeated": {
            "custom_ids": dict(_repeated(rows, lambda row: row.custom_id)),
            "bodies": dict(_repeated(rows, lambda row: row.digest)),
        },
    }
    if detail:
        body["detail"] = [_row(batch, row) for batch, row in rows]
    return body


def _repeated(rows: Iterable[_Pair], name: Callable[[Row], str]) -> Iterator[tuple[str, dict[str, int]]]:
    submitted: Counter[tuple[str, str]] = Counter()
    ran: Counter[tuple[str, str]] = Counter()
    for batch, row in rows:
        key = (batch.workspace, name(row))
        submitted[key] += 1
        ran[key] += row.state in _RAN
    for key, times in submitted.items():
        if times > 1:
            yield key[1], {"submitted": times, "ran": ran[key]}


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "provider": batch.provider,
        "key": batch.workspace,
        "model": batch.model,
        "phase": batch.phase,
        "ending": batch.ending,
        "created_at": batch.created_at,
        "takes_s": batch.takes_s,
        "rows": len(batch.rows),
        "ran": batch.ran,
        "succeeded": batch.succeeded,
        "usd": plain(sum((row.usd for row in batch.rows), start=_ZERO)),
        "faults": batch.faults,
    }


def _row(batch: Batch, row: Row) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "custom_id": row.custom_id,
        "body": row.digest,
        "state": row.state,
        "usd": plain(row.usd),
    }
