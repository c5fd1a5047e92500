"""Labelled questions from a file, as calibration wants them: pairs that are the same form one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import CalibrationError
from fivelevers.levers.semantic_cache.calibrate import Entry
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.providers.minilm import MiniLm

_BATCH, _BATCH_CHARS = 16, 1000  # eight long texts at once take 400 MB


def entries_of(path: Path) -> list[Entry]:
    """Raises CalibrationError, EmbedderError, OSError."""
    answers = _answers(read(path))
    vectors = asyncio.run(embed(list(answers)))
    return [
        Entry("pairs", text, str(answer), vector, signature_of(text), True, float(at))
        for at, ((text, answer), vector) in enumerate(zip(answers.items(), vectors, strict=True))
    ]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines. Raises CalibrationError, OSError."""
    rows = []
    for place, line in lines_of(path):
        try:
            row = orjson.loads(line)
            a, b, same = row["a"], row["b"], row["same"]
        except (ValueError, KeyError, TypeError) as error:
            fix = 'write {"a": "...", "b": "...", "same": true} in each line'
            raise CalibrationError(f"{place}: {line[:60]!r} is no labelled pair; {fix}") from error
        if not (isinstance(a, str) and isinstance(b, str) and isinstance(same, bool)):
            raise CalibrationError(f"{place}: a and b must be texts, same true or false")
        rows.append(row)
    return rows


def _answers(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Text -> its answer: texts that pairs call the same have one, however long the chain."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        parent.setdefault(text, text)
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for row in rows:
        a, b = root(row["a"]), root(row["b"])
        if row["same"]:
            parent[b] = a
    numbers = {name: number for number, name in enumerate(dict.fromkeys(root(text) for text in parent))}
    return {text: numbers[root(text)] for text in list(parent)}


async def embed(texts: list[str], told: Callable[[int], None] = lambda _: None) -> list[Any]:
    """By MiniLM, once it has loaded. ``told`` hears how many more are done. Raises EmbedderError."""
    model = MiniLm()
    await model.ready()
    batches = list(_batches(texts))
    found: list[list[Any]] = [[] for _ in batches]
    left = iter(enumerate(batches))

    async def take(*, behind: bool) -> None:
        for at, batch in left:
            vectors = await model.embed(batch, behind=behind)
            found[at] = [np.asarray(one, np.float32) for one in vectors]  # a tenth of Python's floats
            told(len(batch))

    await asyncio.gather(take(behind=False), take(behind=True))  # its two threads have a core each
    return [vector for vectors in found for vector in vectors]


def _batches(texts: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == _BATCH or sum(map(len, batch)) + len(text) > _BATCH_CHARS):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
