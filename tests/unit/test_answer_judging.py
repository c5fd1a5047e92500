"""Judges in the order of their price: each is asked only where the cheaper ones do not know."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fivelevers.answer_judging import EMBEDDED_CHARS, Judges
from fivelevers.errors import EmbedderError, StoreError
from fivelevers.levers.semantic_cache.judging import UNKNOWN, JudgedBy, Said
from fivelevers.policy import Judge

NEAR, FAR = (1.0, 0.0), (0.0, 1.0)


class Model:
    """Embeds by a table, answers as told, and counts what it is asked."""

    version, dimension = "test", 2

    def __init__(
        self, reply: str | None = "1", vectors: dict[str, tuple[float, float]] | None = None, *, then: str | None = None
    ) -> None:
        self.reply, self.then, self.vectors, self.asked = reply, then, vectors, 0

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Sequence[float]]:
        if self.vectors is None:
            raise EmbedderError("away")
        return [self.vectors.get(text, (0.8, 0.6)) for text in texts]

    async def ask(self, model: str, messages: Sequence[dict[str, str]]) -> str | None:
        self.asked += 1
        return self.reply if self.asked == 1 else self.then


class Purse:
    def __init__(self, spent: float | None = 0.0) -> None:
        self.spent = spent

    async def spent_usd(self, route: str) -> float:
        if self.spent is None:
            raise StoreError("away")
        return self.spent


def judges(model: Model, purse: Purse | None = None, *, judge: str | None = "cheap") -> Judges:
    return Judges("support", Judge(model=judge, usd_per_day=1.0), model, purse or Purse(), model.ask)


async def test_equal_text_asks_nobody() -> None:
    model = Model()
    verdict = await judges(model).compare("q", "Yes.", ["no", "yes"])
    assert (verdict.said, verdict.by, verdict.same, model.asked) == (Said.SAME, JudgedBy.EQUALITY, 1, 0)


@pytest.mark.parametrize(("vector", "said"), [(NEAR, Said.SAME), (FAR, Said.DIFFERENT)])
async def test_embeddings_settle_what_is_plain(vector: tuple[float, float], said: Said) -> None:
    model = Model(vectors={"it is so": NEAR, "so it is": vector})
    verdict = await judges(model).compare("q", "it is so", ["so it is"])
    assert (verdict.said, verdict.by, model.asked) == (said, JudgedBy.EMBEDDING, 0)


@pytest.mark.parametrize(
    ("fresh", "stored"),
    [
        ("it costs 29 euros", "it costs 39 euros"),
        ("it is included", "it is not included"),
        ("x" * (EMBEDDED_CHARS + 1), "y"),
    ],
    ids=["number", "negation", "long"],
)
async def test_embeddings_never_say_same_across_what_they_can_not_see(fresh: str, stored: str) -> None:
    model = Model(reply="0", vectors={fresh: NEAR, stored: NEAR})
    verdict = await judges(model).compare("q", fresh, [stored])
    assert (verdict.said, verdict.by, model.asked) == (Said.DIFFERENT, JudgedBy.MODEL, 1)


@pytest.mark.parametrize("purse", [Purse(1.0), Purse(None)], ids=["spent", "unknown"])
async def test_no_model_is_asked_beyond_its_budget_or_without_knowing_it(purse: Purse) -> None:
    model = Model()
    assert await judges(model, purse).compare("q", "a", ["b"]) == UNKNOWN
    assert model.asked == 0


@pytest.mark.parametrize(
    ("reply", "then", "said", "calls"),
    [
        ("1", None, Said.SAME, 1),
        ("0", "0", Said.DIFFERENT, 2),
        ("2", "0", Said.SAME, 2),
        ("0", "1", None, 2),
        ("2", "1", None, 2),
        ("0", None, None, 2),
    ],
    ids=["agrees", "denies twice", "names another twice", "contradicts itself", "so with another", "says no more"],
)
async def test_a_model_that_denies_what_all_else_says_is_heard_twice(
    reply: str, then: str | None, said: Said | None, calls: int
) -> None:
    model = Model(reply, then=then)
    verdict = await judges(model).compare("q", "a", ["b", "c"], expects_first=True)
    assert (verdict.said, model.asked) == (said, calls)


async def test_whoever_fails_does_not_know() -> None:
    assert await judges(Model(reply=None)).compare("q", "a", ["b"]) == UNKNOWN
    assert await judges(Model(reply="perhaps")).compare("q", "a", ["b"]) == UNKNOWN
    assert await judges(Model(), judge=None).compare("q", "a", ["b"]) == UNKNOWN
    assert await judges(Model()).compare("q", "a", []) == UNKNOWN
