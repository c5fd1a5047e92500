"""What lever 2 asks of the store of answers, and of whatever makes embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fivelevers.answer import StoredAnswer
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.signature import Signature

Vector = Sequence[float]  # of unit length


@dataclass(frozen=True, slots=True)
class Exact:
    """What the exact tier knows. ``answer`` None: nobody has asked this before, or the answer is gone.

    ``own``: it was given to this very question, not to another one that a judge found to ask the same. ``first``: this
    caller is the one who shall ask the provider; ``taken``: another one does, and its answer can be waited for.
    """

    id: str | None
    answer: StoredAnswer | None
    own: bool
    first: bool
    taken: bool


class AnswerMemory(Protocol):
    """Answers, shared by every replica. Whatever waits for the store raises StoreError when it does not answer in time.

    ``scope`` is the hash of all that two requests must have in common (32 hex digits), ``question`` the id of a
    question in it (its text's keyed hash, 32 hex digits), ``answer`` the id of an answer.
    """

    async def exact(self, scope: str, question: str, *, lease_s: float) -> Exact:
        """The answer to this very question, word for word. Where there is none: a lease for one caller."""

    async def wait(self, scope: str, question: str, *, within_s: float) -> Exact:
        """Until the caller that holds the lease has stored its answer or given up, ``within_s`` at the most."""

    async def release(self, scope: str, question: str) -> None:
        """The holder of the lease has no answer to store: the waiting go on their own."""

    async def nearest(self, scope: str, vector: Vector, k: int) -> list[Neighbour]:
        """The ``k`` stored questions that are nearest, nearest first, none expired."""

    async def answer(self, scope: str, answer: str) -> StoredAnswer | None:
        """None where it has expired or was deleted."""

    async def store(
        self,
        scope: str,
        question: str,
        vector: Vector | None,
        signature: Signature,
        *,
        answer: str,
        new: StoredAnswer | None,
        judged: bool,
        tags: Sequence[str],
        expires_at: float,
        given: tuple[str, StoredAnswer] | None = None,
    ) -> str | None:
        """Point a question to an answer, ``new`` where that is not stored yet, and end the lease.

        Returns the answer's id: of two callers that store one question at once, the second gets the first one's, and
        its own is not kept; None where an answer that was stored is gone. ``vector`` None: only the exact tier knows
        this question. ``judged``: whether it is known which stored answers say the same. ``tags``: by which question
        and answer are invalidated and forgotten. ``given``: id and answer of this very question, kept for the exact
        tier beside the one that says the same.
        """

    async def forget_question(self, scope: str, question: str) -> bool:
        """Whether there was one."""


class Embedder(Protocol):
    """Texts to vectors of unit length. ``version`` names model, weights and dimension: other ones share no entry."""

    @property
    def version(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Vector]:
        """``behind``: nobody waits for these, so they go behind what somebody waits for. Raises EmbedderError."""
