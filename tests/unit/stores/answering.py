"""What the tests of the store of answers have in common."""

from __future__ import annotations

import math
import random
import time

from fivelevers.answer import StoredAnswer
from fivelevers.levers.semantic_cache.memory import Vector
from fivelevers.levers.semantic_cache.signature import Signature, signature_of
from fivelevers.prices import Usage
from fivelevers.stores.answers import Answers

DIMENSION = 384
SIGNATURE = signature_of("what does the plan cost?")


def hex_id(rng: random.Random) -> str:
    """A scope or the id of a question."""
    return f"{rng.getrandbits(128):032x}"


def unit(rng: random.Random, dimension: int = DIMENSION) -> Vector:
    drawn = [rng.gauss(0, 1) for _ in range(dimension)]
    norm = math.sqrt(sum(value * value for value in drawn))
    return [value / norm for value in drawn]


def said(text: str = "42 USD a month", *, for_s: float = 600.0, tags: tuple[str, ...] = ()) -> StoredAnswer:
    now = time.time()
    return StoredAnswer(text, "gpt-4o", "openai", None, Usage(input=10, output=5), now, now + for_s, tags)


async def put(
    store: Answers,
    scope: str,
    question: str,
    vector: Vector | None = None,
    *,
    answer: str = "a1",
    new: StoredAnswer | None = None,
    signature: Signature = SIGNATURE,
    tags: tuple[str, ...] = (),
    alias: bool = False,
    for_s: float = 600.0,
) -> str | None:
    """Store a question; with ``alias`` it points to an answer that is there."""
    stored = None if alias else new or said(for_s=for_s, tags=tags)
    until = time.time() + for_s
    return await store.store(
        scope, question, vector, signature, answer=answer, new=stored, judged=True, tags=tags, expires_at=until
    )
