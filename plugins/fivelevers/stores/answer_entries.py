"""The questions of lever 2 by tag, with their vectors: what calibration tries its decisions on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from struct import unpack
from typing import Any

from fivelevers.levers.semantic_cache.calibrate import Entry
from fivelevers.levers.semantic_cache.signature import Signature
from fivelevers.stores.answer_keys import EVERY_QUESTION, vector_field
from fivelevers.stores.answer_tags import pages
from fivelevers.stores.redis_async import Link


def entries(url: str, tag: str, dimension: int) -> list[Entry]:
    """Every question with this tag and a vector of this dimension, by time. Raises StoreError."""

    async def read() -> list[Entry]:
        link = Link(url, "semantic_cache")
        try:
            return [entry async for entry in _entries(link, tag, dimension)]
        finally:
            await link.close()

    return sorted(asyncio.run(read()), key=lambda entry: (entry.at, entry.question))  # folds go by the order


async def _entries(link: Link, tag: str, dimension: int) -> AsyncIterator[Entry]:
    names = ("tags", "answer", "signature", "judged", "at", vector_field(dimension))
    async with link.asking("questions can not be read", limited=False) as redis:
        async for page in pages(redis, EVERY_QUESTION):
            async with redis.pipeline(transaction=False) as together:
                for key in page:
                    together.hmget(key, names)
                for key, fields in zip(page, await together.execute(), strict=True):
                    if fields[-1] is not None and tag in (fields[0] or b"").decode().split("\n"):
                        yield _entry(key.decode(), fields, dimension)


def _entry(key: str, fields: list[Any], dimension: int) -> Entry:
    _, answer, signature, judged, at, vector = fields
    *_, scope, question = key.split(":")
    return Entry(
        scope=scope,
        question=question,
        answer=answer.decode(),
        vector=unpack(f"<{dimension}e", vector),
        signature=Signature.unpack(signature),
        known=judged == b"1",
        at=float(at),
    )
