"""The batch lane forgets a subject: what it handed in, what waits of that, and its results."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from fivelevers.levers.batch.work import Work
from fivelevers.stores.forget import Subject, SubjectKind, Traces
from fivelevers.stores.lane import Lane

_WHERE: Final = "redis (requests of the lane)"
_UNREADABLE: Final = "redis (requests of the lane that no key opens)"  # whose they are is in what is sealed


class LaneForgetter:
    """``url`` empty: there is no lane. Every call raises StoreError.

    What has not ended is cancelled. What is not metered yet stays without being seen, and is told of as left, until a
    worker has metered it. So is what no key of FIVELEVERS_CONTENT_KEY and _OLD_KEYS opens: it may be the subject's.
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
        return asyncio.run(self._count(traces.subject, remove=remove)) if self._url else {}

    async def _count(self, subject: Subject, *, remove: bool) -> Mapping[str, int]:
        lane, found = Lane(self._url), Counter({_WHERE: 0})
        try:
            async for view in lane.every():
                if view is None:
                    found[_UNREADABLE] += not remove
                elif _is_of(view.work, subject):
                    found[_WHERE] += 1
                    if remove:
                        await lane.delete(view.work.id)
        finally:
            await lane.close()
        return found


def _is_of(work: Work, subject: Subject) -> bool:
    caller: Mapping[str, Any] = work.about.get("caller", {})
    if subject.kind is SubjectKind.END_USER:
        return caller.get("end_user") == subject.name and subject.team in (None, caller.get("team"))
    if subject.kind is SubjectKind.TEAM:
        return caller.get("team") == subject.name
    return subject.name in (caller.get("key"), caller.get("key_alias"))
