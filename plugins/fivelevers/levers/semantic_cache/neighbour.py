"""What the semantic tier knows of a question when it decides: itself, and the stored questions that are nearest."""

from __future__ import annotations

from dataclasses import dataclass

from fivelevers.levers.semantic_cache.signature import Signature


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One stored question, in the same scope as the one that is asked.

    ``question`` and ``answer`` are ids in the store; several questions may point to one answer. ``similarity`` is the
    cosine of the two embeddings; ``verified`` says that a judge found this question to be answered by that answer, or
    that the answer was given to this very question. ``age_s`` is how long ago the question was stored.
    """

    question: str
    answer: str
    similarity: float
    verified: bool
    signature: Signature
    age_s: float = 0.0
