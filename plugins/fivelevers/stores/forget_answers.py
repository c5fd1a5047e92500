"""The store of answers forgets a subject: what was stored for it, and which of its requests were served from what."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fivelevers.answer import subject_tag
from fivelevers.policy import end_user_digest
from fivelevers.stores.answers import Answers
from fivelevers.stores.forget import Subject, SubjectKind, Traces


class AnswerForgetter:
    """``url`` empty: there is no such store. Every call raises StoreError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def find(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=False)

    def remove(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=True)

    def left(self, traces: Traces) -> Mapping[str, int]:
        return self._counts(traces, remove=False)

    def _counts(self, traces: Traces, *, remove: bool) -> Mapping[str, int]:
        return asyncio.run(self._count(traces, remove=remove)) if self._url else {}

    async def _count(self, traces: Traces, *, remove: bool) -> Mapping[str, int]:
        store = Answers(self._url)
        try:
            return {
                "redis (questions and answers)": await store.tagged(_tag(traces.subject), remove=remove),
                "redis (requests served)": await store.forget_served(traces.ids, remove=remove),
            }
        finally:
            await store.close()


def _tag(subject: Subject) -> str:
    """As the proxies write it. A key is found by the proxy's hash of it, not by its alias."""
    if subject.kind is SubjectKind.END_USER:
        return subject_tag(f"end_user:{end_user_digest(subject.name)}")
    return subject_tag(f"{subject.kind.value}:{subject.name}")
