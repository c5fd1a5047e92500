"""The batch lane forgets a subject: what it handed in, what waits of that, and its results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fivelevers.levers.batch.work import Work
from fivelevers.stores.forget import Subject, SubjectKind, Traces
from fivelevers.stores.lane import Lane

_WHERE = "redis (requests of the lane)"


class LaneForgetter:
    """``url`` empty: there is no lane. Every call raises StoreError.

    What has not ended is cancelled. What is not metered yet stays without being seen, and is told of as left, until a
    worker has metered it.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def find(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=False)

    def remove(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=True)

    def left(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=False)

    def _counts(self, traces: Traces, *, remove: bool) -> Mapping[str, int]:
        return {_WHERE: asyncio.run(self._count(traces.subject, remove=remove))} if self._url else {}

    async def _count(self, subject: Subject, *, remove: bool) -> int:
        lane, count = Lane(self._url), 0
        try:
            async for view in lane.every():
                if _is_of(view.work, subject):
                    count += 1
                    if remove:
                        await lane.delete(view.work.id)
        finally:
            await lane.close()
        return count


def _is_of(work: Work, subject: Subject) -> bool:
    caller: Mapping[str, Any] = work.about.get("caller", {})
    if subject.kind is SubjectKind.END_USER:
        return caller.get("end_user") == subject.name and subject.team in (None, caller.get("team"))
    if subject.kind is SubjectKind.TEAM:
        return caller.get("team") == subject.name
    return subject.name in (caller.get("key"), caller.get("key_alias"))
