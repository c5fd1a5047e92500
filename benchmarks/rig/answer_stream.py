"""A stream of questions of which it is known which have the same answer, embedded; and a judge who knows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rich.progress import track

from fivelevers.levers.semantic_cache.judging import Said, Verdict
from fivelevers.levers.semantic_cache.memory import Vector
from fivelevers.levers.semantic_cache.signature import Signature, signature_of
from fivelevers.providers.minilm import MiniLm

_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Question:
    """``answer``: a name for what answers it; ``id``: 32 hex digits."""

    id: str
    answer: str
    vector: Vector
    signature: Signature


def read(path: Path) -> list[tuple[str, str]]:
    """(text, answer) in order, every text once. An answer that is null is one of its own. Raises ValueError."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row: Any = json.loads(line)
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or "answer" not in row:
            raise ValueError(f'{path}:{number}: {line[:60]!r} is no {{"text": ..., "answer": ...}}')
        found.setdefault(row["text"], f"only {number}" if row["answer"] is None else f"answer {row['answer']}")
    return list(found.items())


async def embedded(texts: Sequence[str]) -> list[Vector]:
    """By the product's own embedder. Raises EmbedderError."""
    model, vectors = MiniLm(), list[Vector]()
    await model.ready()
    for at in track(range(0, len(texts), _AT_ONCE), description="embedding", transient=True):
        vectors += await model.embed(texts[at : at + _AT_ONCE])
    return vectors


async def questions(rows: Sequence[tuple[str, str]]) -> list[Question]:
    vectors = await embedded([text for text, _ in rows])
    return [
        Question(f"{number:032x}", answer, vector, signature_of(text))
        for number, ((text, answer), vector) in enumerate(zip(rows, vectors, strict=True))
    ]


class Judge:
    """Says whether two answers are the same, by the stream's truth; ``noise``: share of comparisons it gets wrong."""

    def __init__(self, noise: float, seed: int) -> None:
        self._noise, self._draws = noise, Random(seed)

    def same(self, one: str, other: str) -> bool:
        return (one == other) != (self._draws.random() < self._noise)

    async def compare(
        self, question: str, fresh: str, stored: Sequence[str], *, expects_first: bool = False
    ) -> Verdict:
        """As the product's judges are asked; it has one opinion."""
        return self.verdict(fresh, stored)

    def verdict(self, fresh: str, stored: Sequence[str]) -> Verdict:
        """One call: the fresh answer against some stored ones."""
        place = next((place for place, answer in enumerate(stored) if self.same(fresh, answer)), None)
        return Verdict(Said.DIFFERENT) if place is None else Verdict(Said.SAME, same=place)
