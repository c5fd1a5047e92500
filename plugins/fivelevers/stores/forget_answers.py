"""The store of answers forgets a subject: what was stored for it, found by the hash that stands for it there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fivelevers.answer import subject_tag
from fivelevers.policy import end_user_digest
from fivelevers.stores.answers import Answers
from fivelevers.stores.forget import Subject, SubjectKind, Traces

_NAME = "answers in Redis"


class AnswerForgetter:
    """``url`` empty: there is no such store. Every call raises StoreError."""

    def __init__(self, url: str) -> None:
        self._url = url

    def find(self, traces: Traces) -> Mapping[str, int]:
        return self._tagged(traces.subject, remove=False)

    def remove(self, traces: Traces) -> Mapping[str, int]:
        return self._tagged(traces.subject, remove=True)

    def left(self, traces: Traces) -> Mapping[str, int]:
        return self._tagged(traces.subject, remove=False)

    def _tagged(self, subject: Subject, *, remove: bool) -> Mapping[str, int]:
        return {_NAME: asyncio.run(self._count(_tag(subject), remove=remove))} if self._url else {}

    async def _count(self, tag: str, *, remove: bool) -> int:
        store = Answers(self._url)
        try:
            return await store.tagged(tag, remove=remove)
        finally:
            await store.close()


def _tag(subject: Subject) -> str:
    """As the proxies write it. A key is found by the proxy's hash of it, not by its alias."""
    if subject.kind is SubjectKind.END_USER:
        return subject_tag(f"end_user:{end_user_digest(subject.name)}")
    return subject_tag(f"{subject.kind.value}:{subject.name}")
