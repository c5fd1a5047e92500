"""Answers by tag: for invalidation and for forgetting a subject. Goes through every question, never for a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from fivelevers.stores.answer_keys import EVERY_QUESTION, answer_key_beside
from fivelevers.stores.redis_async import Link

_PAGE = 500


async def tagged(link: Link, tag: str, *, remove: bool) -> int:
    """How many questions have this tag, in all scopes; with ``remove`` they and their answers are deleted."""
    found = 0
    async with link.asking("questions can not be gone through", limited=False) as redis:  # each of its calls has one
        async for page in pages(redis):
            gone = await _of_tag(redis, page, tag)
            found += len(gone)
            if remove and gone:
                await _delete(redis, gone)
    return found


async def pages(redis: Any) -> AsyncIterator[list[bytes]]:
    page: list[bytes] = []
    async for key in redis.scan_iter(match=EVERY_QUESTION, count=_PAGE):
        page.append(key)
        if len(page) >= _PAGE:
            yield page
            page = []
    if page:
        yield page


async def _of_tag(redis: Any, keys: Sequence[bytes], tag: str) -> list[tuple[bytes, bytes]]:
    """(question's key, answer's key) of those that have the tag."""
    async with redis.pipeline(transaction=False) as together:
        for key in keys:
            together.hmget(key, ("tags", "answer"))
        fields = await together.execute()
    return [
        (key, answer_key_beside(key.decode(), answer.decode()).encode())
        for key, (tags, answer) in zip(keys, fields, strict=True)
        if tags is not None and answer is not None and tag in tags.decode().split("\n")
    ]


async def _delete(redis: Any, pairs: Sequence[tuple[bytes, bytes]]) -> None:
    async with redis.pipeline(transaction=False) as together:
        for question, answer in pairs:
            together.delete(question, answer)
        await together.execute()
