"""The judges of one route, in the order of their price, and what they may cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fivelevers.errors import EmbedderError, StoreError
from fivelevers.levers.semantic_cache.guards import Guard, refusals
from fivelevers.levers.semantic_cache.judging import UNKNOWN, Said, Verdict, asked, by_equality, by_similarity, heard
from fivelevers.levers.semantic_cache.memory import Embedder, Vector
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.policy import Judge

# Of an answer. An embedder sees 256 tokens, and what it does not see may differ; a text of those takes 80 ms of a core,
# one of half as many characters a quarter of that.
EMBEDDED_CHARS = 500


class Purse(Protocol):
    """What a route's judging has cost today, over all proxies."""

    async def spent_usd(self, route: str) -> float:
        """Raises StoreError where that is not known."""


@dataclass(frozen=True, slots=True)
class Judges:
    """``ask``: a model's reply to messages, None where it gave none. ``embedder`` None: answers are not embedded."""

    route: str
    settings: Judge
    embedder: Embedder | None
    purse: Purse
    ask: Callable[[str, Sequence[dict[str, str]]], Awaitable[str | None]]

    async def compare(
        self, question: str, fresh: str, stored: Sequence[str], *, expects_first: bool = False
    ) -> Verdict:
        """Which stored answer says what the fresh one says. A judge that fails does not know.

        ``expects_first``: all else says that it is the first. A model that names another one, or none, is then asked
        once more, the other way round; where it contradicts itself, nobody knows.
        """
        if not stored:
            return UNKNOWN
        verdict = by_equality(fresh, stored)
        if verdict.said is None:
            verdict = await self._by_embedding(fresh, stored)
        if verdict.said is None:
            verdict = await self._by_model(question, fresh, stored)
            if expects_first and verdict.said is not None and verdict.same != 0:
                again = await self._by_model(question, stored[0], [fresh])
                verdict = verdict if again.said is Said.DIFFERENT else UNKNOWN
        return verdict

    async def _by_embedding(self, fresh: str, stored: Sequence[str]) -> Verdict:
        if self.embedder is None or max(map(len, (fresh, *stored))) > EMBEDDED_CHARS:
            return UNKNOWN
        try:
            mine, *theirs = await self.embedder.embed([fresh, *stored], behind=True)
        except EmbedderError:
            return UNKNOWN
        similarities = [_cosine(mine, one) for one in theirs]
        verdict = by_similarity(similarities, self.settings.same_from, self.settings.different_below)
        if verdict.same is None or not refusals(signature_of(fresh), signature_of(stored[verdict.same]), tuple(Guard)):
            return verdict
        return UNKNOWN  # near, and another number, date, name or a "not": embeddings do not tell

    async def _by_model(self, question: str, fresh: str, stored: Sequence[str]) -> Verdict:
        model = self.settings.model
        if model is None or not await self._may_spend():
            return UNKNOWN
        reply = await self.ask(model, asked(question, fresh, stored))
        return UNKNOWN if reply is None else heard(reply, len(stored))

    async def _may_spend(self) -> bool:
        """In doubt not: a budget that nobody can look up is spent."""
        try:
            return await self.purse.spent_usd(self.route) < self.settings.usd_per_day
        except StoreError:
            return False


def _cosine(one: Vector, other: Vector) -> float:
    """Of two vectors of unit length."""
    return sum(a * b for a, b in zip(one, other, strict=True))
