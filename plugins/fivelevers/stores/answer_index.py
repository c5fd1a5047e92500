"""The vector indexes of lever 2, through RedisVL: one for each bucket of scopes and each dimension.

An index sees the shard that its name's slot is on, and that alone; so its name and its keys share a hash tag. FLAT
with float16: exact, half the memory, and fast enough as long as the scope's tag leaves few vectors to compare.
"""

from __future__ import annotations

import time
from typing import Any

from redis.exceptions import ResponseError
from redisvl.exceptions import RedisSearchError, RedisVLError
from redisvl.index import AsyncSearchIndex
from redisvl.query import VectorQuery
from redisvl.query.filter import Tag
from redisvl.schema import IndexSchema

from fivelevers.errors import StoreError
from fivelevers.stores.answers import vector_field

_SCHEMA = 1  # raised when the fields change: then a new index is made, under another name
_AGAIN_AFTER_S = 30.0  # a Redis without a query engine is asked again
_FIELDS = ["answer", "own", "signature", "at", "expires"]


class AnswerIndex:
    """The indexes of one process's connection. ``name`` is the bucket's hash tag with its braces."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._made: dict[tuple[str, int], AsyncSearchIndex] = {}  # bounded: 16 buckets for each dimension in use
        self._refused = ""
        self._refused_until = 0.0

    async def nearest(self, bucket: str, scope: str, vector: bytes, dimension: int, k: int) -> list[dict[str, Any]]:
        """The fields of the nearest questions, with ``id`` and ``vector_distance``. Raises StoreError, RedisError."""
        query = VectorQuery(
            vector=vector,
            vector_field_name=vector_field(dimension),
            return_fields=_FIELDS,
            filter_expression=Tag("scope") == scope,
            num_results=k,
            dtype="float16",
        )
        index = await self.ensure(bucket, dimension)
        try:
            rows: list[dict[str, Any]] = await index.query(query)
        except RedisSearchError as error:
            if not _is_missing(error):
                raise StoreError(f"redis: can not be searched: {error}") from error
            self._made.pop((bucket, dimension), None)  # a Redis that came back empty
            await self.ensure(bucket, dimension)
            return []
        return rows

    async def ensure(self, bucket: str, dimension: int) -> AsyncSearchIndex:
        """The bucket's index, made where it is missing. Raises StoreError where this Redis can not have it."""
        known = self._made.get((bucket, dimension))
        if known is not None:
            return known
        if time.monotonic() < self._refused_until:
            raise StoreError(self._refused)
        index = AsyncSearchIndex(_schema(bucket, dimension), redis_client=self._redis)
        try:
            await index.create()
            await self._check(index, dimension)
        except (RedisVLError, ResponseError) as error:
            raise self._refuse(f"redis: has no vector index and can not make one: {_reason(error)}") from error
        self._made[bucket, dimension] = index
        return index

    async def _check(self, index: AsyncSearchIndex, dimension: int) -> None:
        """Of two replicas that make an index at once one loses; what is there must be what it would have made."""
        info = await index.info()
        for raw in info.get("attributes", []):
            pairs = [part.decode() if isinstance(part, bytes) else part for part in raw]
            if vector_field(dimension) in pairs and dimension in (*pairs, *map(_number, pairs)):
                return
        fix = f"drop it (FT.DROPINDEX {index.name}), nothing of ours is lost"
        raise self._refuse(f"redis: index {index.name} has another schema; {fix}")

    def _refuse(self, why: str) -> StoreError:
        self._refused, self._refused_until = why, time.monotonic() + _AGAIN_AFTER_S
        return StoreError(why)


def _schema(bucket: str, dimension: int) -> IndexSchema:
    attributes = {"dims": dimension, "algorithm": "flat", "datatype": "float16", "distance_metric": "cosine"}
    return IndexSchema.from_dict(
        {
            "index": {
                "name": f"fl:{bucket}:i{_SCHEMA}:{dimension}",
                "prefix": f"fl:{bucket}:q",
                "storage_type": "hash",
            },
            "fields": [
                {"name": "scope", "type": "tag"},
                {"name": vector_field(dimension), "type": "vector", "attrs": attributes},
            ],
        }
    )


def _is_missing(error: Exception) -> bool:
    text = str(error).lower()
    return "no such index" in text or "not found" in text or "unknown index" in text


def _reason(error: Exception) -> str:
    text = str(error)
    return f"{text} (Redis 8, or Redis Stack, has the query engine)" if "unknown command" in text.lower() else text


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value
