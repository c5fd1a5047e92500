"""What the semantic tier knows of a question when it decides: itself, and the stored questions that are nearest."""

from __future__ import annotations

from dataclasses import dataclass

from fivelevers.levers.semantic_cache.signature import Signature


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One stored question, in the same scope as the one that is asked.

    ``question`` and ``answer`` are ids in the store; several questions may point to one answer. ``similarity`` is the
    cosine of the two embeddings. The answer was given to this very question, or a judge found that it says the same.
    """

    question: str
    answer: str
    similarity: float
    signature: Signature
