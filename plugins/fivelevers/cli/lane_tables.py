"""How the lane looks in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group as Stacked
from rich.console import RenderableType
from rich.text import Text

from fivelevers.cli.tables import short, table
from fivelevers.levers.batch.lifecycle import Batch
from fivelevers.levers.batch.work import Group, View
from fivelevers.stores.lane import GroupStats, LaneStats

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def lane_table(stats: LaneStats, batches: Sequence[Batch], now: float) -> RenderableType:
    """``now``: seconds of the epoch."""
    queues = table("What waits", "model", "endpoint", "queued", "first due", "accepted", "ended", "failed")
    for one in sorted(stats.groups, key=lambda one: (one.group.model, one.group.endpoint)):
        ended = {state.value: count for state, count in one.ended.items()}
        queues.add_row(
            short(one.group.model), _path(one.group), f"{one.queued:,}", _due(one.overdue_s), f"{one.accepted:,}",
            f"{sum(ended.values()):,}", f"{ended.get('failed', 0):,}",
        )  # fmt: skip
    shown = table("The latest batches", "batch", "model", "state", "for", "requests", "open", "rescue in")
    for batch in batches:
        rescue = _span(batch.rescue_at - now) if batch.left else "-"
        state = f"{batch.state.value}" + (f" ({batch.tries})" if batch.tries else "")
        shown.add_row(
            batch.id, short(batch.group.model), state, _span(batch.age_s), f"{batch.rows:,}", f"{batch.left:,}", rescue
        )
    note = f"Asked live just now: {stats.live}. Ended, and not metered yet: {stats.untold}."
    return Stacked(queues, shown, Text(note))


def group_document(stats: GroupStats) -> dict[str, Any]:
    ended = {state.value: count for state, count in stats.ended.items()}
    about = {"queued": stats.queued, "overdue_s": stats.overdue_s, "accepted": stats.accepted, "ended": ended}
    return _group(stats.group) | about


def batch_document(batch: Batch) -> dict[str, Any]:
    """Times in seconds of the epoch."""
    return _group(batch.group) | {
        "batch": batch.id,
        "state": batch.state.value,
        "since": batch.at,
        "made_at": batch.made_at,
        "rows": batch.rows,
        "open": batch.left,
        "prompt_tokens": batch.tokens,
        "rescue_at": batch.rescue_at,
        "tries": batch.tries,
        "file": batch.file,
        "provider_batch": batch.provider_id,
    }


def request_document(view: View) -> dict[str, Any]:
    """No text, and nothing of the caller but its tenant."""
    work, result = view.work, view.result
    told = {
        "request": work.id,
        "state": view.state.value,
        "route": work.route,
        "tenant": work.tenant,
        "accepted_at": work.accepted_at,
        "deadline_at": work.deadline_at,
        "prompt_tokens": work.prompt_tokens,
        "batch": view.batch,
        "attempts": view.attempts,
    }
    if result is not None:
        told |= {"status": result.status, "ended_at": result.at, "live": result.live}
        told["provider_batch"] = result.provider_batch
    return _group(work.group) | told


def _group(group: Group) -> dict[str, Any]:
    return {
        "provider": group.provider,
        "account": group.account,
        "endpoint": group.endpoint.value,
        "model": group.model,
    }


def _path(group: Group) -> str:
    return group.endpoint.value.removeprefix("/v1/")


def _due(overdue_s: float | None) -> str:
    if overdue_s is None:
        return "-"
    return f"{_span(overdue_s)} ago" if overdue_s > 0 else f"in {_span(-overdue_s)}"


def _span(seconds: float) -> str:
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"
