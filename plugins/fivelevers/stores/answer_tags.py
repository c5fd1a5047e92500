"""Answers by tag: for invalidation and for forgetting a subject. Goes through every key, never for a request.

Both questions and answers are gone through, each by its own tags: an answer whose question was deleted is one still.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fivelevers.stores.answer_keys import EVERY_ANSWER, EVERY_QUESTION
from fivelevers.stores.answer_record import unpack
from fivelevers.stores.redis_async import Link

_PAGE = 500


async def tagged(link: Link, tag: str, *, remove: bool) -> int:
    """How many questions and answers have this tag, in all scopes; with ``remove`` they are deleted."""
    found = 0
    async with link.asking("answers can not be gone through", limited=False) as redis:  # each of its calls has a limit
        for pattern in (EVERY_QUESTION, EVERY_ANSWER):
            async for page in pages(redis, pattern):
                tags = await (_of_questions(redis, page) if pattern == EVERY_QUESTION else _of_answers(redis, page))
                gone = [key for key, own in zip(page, tags, strict=True) if tag in own]
                found += len(gone)
                if remove:
                    await _delete(redis, gone)
    return found


async def pages(redis: Any, pattern: str) -> AsyncIterator[list[bytes]]:
    """All keys of a pattern, some hundred at a time."""
    page: list[bytes] = []
    async for key in redis.scan_iter(match=pattern, count=_PAGE):
        page.append(key)
        if len(page) >= _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _of_questions(redis: Any, keys: Sequence[bytes]) -> list[list[str]]:
    async with redis.pipeline(transaction=False) as together:
        for key in keys:
            together.hget(key, "tags")
        return [(tags or b"").decode().split("\n") for tags in await together.execute()]


async def _of_answers(redis: Any, keys: Sequence[bytes]) -> list[list[str]]:
    async with redis.pipeline(transaction=False) as together:
        for key in keys:
            together.get(key)
        answers = [unpack(raw) if raw else None for raw in await together.execute()]
    return [list(answer.tags) if answer is not None else [] for answer in answers]


async def _delete(redis: Any, keys: Sequence[bytes]) -> None:
    async with redis.pipeline(transaction=False) as together:
        for key in keys:
            together.delete(key)
        await together.execute()
