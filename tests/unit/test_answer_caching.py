"""A look-up's limits: what no embedder sees whole is never answered by likeness."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.answer_caching import LONGEST_BYTES, Asked, Result, look_up
from fivelevers.errors import EmbedderError
from fivelevers.levers.semantic_cache.memory import Exact
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.policy import SemanticCacheSwitch


class Embedder:
    """Remembers what it was asked for, and gives nothing."""

    version, dimension = "test", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Any, *, behind: bool = False) -> Any:
        self.asked += texts
        raise EmbedderError("away")


class Empty:
    async def exact(self, scope: str, question: str, *, lease_s: float) -> Exact:
        return Exact(None, None, own=False, first=bool(lease_s), taken=False)


@pytest.mark.parametrize(
    ("text", "why", "embedded"),
    [("x" * LONGEST_BYTES, "embedder", 1), ("x" * (LONGEST_BYTES + 1), "long", 0), ("語" * LONGEST_BYTES, "long", 0)],
    ids=["whole", "long", "wide"],
)
async def test_a_question_that_is_longer_than_an_embedder_sees_has_the_exact_tier_alone(
    text: str, why: str, embedded: int
) -> None:
    embedder, memory = Embedder(), Empty()
    asked = Asked("s", "q", text, signature_of(text), SemanticCacheSwitch(), serving=True, calibration=None, draw=0.5)
    found = await look_up(asked, memory, embedder, now=0.0)  # type: ignore[arg-type]  # no more of it is needed
    assert (found.result, found.why, len(embedder.asked)) == (Result.MISS, why, embedded)
    assert found.leads
