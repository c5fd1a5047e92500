"""The vector indexes of lever 2, through RedisVL: one for each bucket of scopes and each dimension.

An index sees the shard that its name's slot is on, and that alone; so its name and its keys share a hash tag. FLAT
with float16: exact, half the memory, and fast enough as long as the scope's tag leaves few vectors to compare.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError, ResponseError
from redisvl.exceptions import RedisVLError
from redisvl.index import AsyncSearchIndex
from redisvl.query import VectorQuery
from redisvl.query.filter import Tag
from redisvl.schema import IndexSchema

from fivelevers.errors import StoreError
from fivelevers.stores.answer_keys import vector_field
from fivelevers.stores.redis_async import shard_of

_SCHEMA = 1  # raised when the fields change: then a new index is made, under another name
_AGAIN_AFTER_S = 30.0  # a Redis that can not have an index is asked again
_BLOCK = 128  # vectors that an index takes memory for at a time; Redis's own 1024 cost each small bucket 0.8 MB
_DISTANCE = "vector_distance"


class AnswerIndex:
    """The indexes of one process's client. A bucket is named by its hash tag, with the braces."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self._made: dict[tuple[str, int], AsyncSearchIndex] = {}  # bounded: 16 buckets for each dimension in use
        self._refused: dict[tuple[str, int], tuple[str, float]] = {}
        self._making = asyncio.Lock()

    async def nearest(self, bucket: str, scope: str, vector: bytes, dimension: int, k: int) -> dict[str, float]:
        """Keys of the nearest questions with their cosine to ``vector``, nearest first. Raises StoreError, RedisError.

        The query is RedisVL's; it is sent and read here, because RedisVL takes longer to read the reply than Redis to
        search. No field comes along for the same reason.
        """
        query = VectorQuery(
            vector=vector,
            vector_field_name=vector_field(dimension),
            return_fields=[_DISTANCE],
            filter_expression=Tag("scope") == scope,
            num_results=k,
            dtype="float16",
        )
        index = await self.ensure(bucket, dimension)
        parameters = [part for pair in query.params.items() for part in pair]
        command = ("FT.SEARCH", index.name, *query.query.get_args(), "PARAMS", len(parameters), *parameters)
        try:
            return _found(await index.client.execute_command(*command))
        except ResponseError as error:
            if not _is_missing(error):
                raise
            self._made.pop((bucket, dimension), None)  # a Redis that came back empty
            await self.ensure(bucket, dimension)
            return {}

    async def ensure(self, bucket: str, dimension: int) -> AsyncSearchIndex:
        """The bucket's index, made where it is missing. Raises StoreError where this Redis can not have it."""
        name = (bucket, dimension)
        if name in self._made:
            return self._made[name]
        async with self._making:
            if name not in self._made:
                why, until = self._refused.get(name, ("", 0.0))
                if time.monotonic() < until:
                    raise StoreError(why)
                self._made[name] = await self._make(bucket, dimension)
        return self._made[name]

    async def _make(self, bucket: str, dimension: int) -> AsyncSearchIndex:
        index = AsyncSearchIndex(_schema(bucket, dimension), redis_client=shard_of(self.redis, bucket))
        try:
            try:
                await index.create()
            except RedisVLError as error:  # of two replicas that make one at once, one is late
                if "already exists" not in str(error).lower():
                    raise
            wrong = _difference(await index.info(), index.schema, dimension)
        except RedisVLError as error:
            _raise_if_no_answer(error)
            raise self._refuse(bucket, dimension, f"redis: can not have a vector index: {_reason(error)}") from error
        if wrong:
            fix = f"drop it (FT.DROPINDEX {index.name}): that deletes no entry, and ours is made in its place"
            raise self._refuse(bucket, dimension, f"redis: index {index.name} has another schema: {wrong}; {fix}")
        return index

    def _refuse(self, bucket: str, dimension: int, why: str) -> StoreError:
        self._refused[bucket, dimension] = (why, time.monotonic() + _AGAIN_AFTER_S)
        return StoreError(why)


def _found(reply: Any) -> dict[str, float]:
    """Of FT.SEARCH's reply in either protocol: key -> cosine."""
    if isinstance(reply, Mapping):
        rows = [(row[b"id"], row[b"extra_attributes"]) for row in reply[b"results"]]
    else:
        rows = [
            (key, dict(zip(flat[::2], flat[1::2], strict=True)))
            for key, flat in zip(reply[1::2], reply[2::2], strict=True)
        ]
    return {key.decode(): 1.0 - float(fields[_DISTANCE.encode()]) for key, fields in rows}


def _schema(bucket: str, dimension: int) -> IndexSchema:
    attributes = {"dims": dimension, "algorithm": "flat", "datatype": "float16", "distance_metric": "cosine"}
    return IndexSchema.from_dict(
        {
            "index": {
                "name": f"fl:{bucket}:i{_SCHEMA}:{dimension}",
                "prefix": f"fl:{bucket}:q:",
                "storage_type": "hash",
            },
            "fields": [
                {"name": "scope", "type": "tag"},
                {"name": vector_field(dimension), "type": "vector", "attrs": {**attributes, "block_size": _BLOCK}},
            ],
        }
    )


def _difference(info: Mapping[str, Any], schema: IndexSchema, dimension: int) -> str:
    """What an index, as FT.INFO tells of it, has that ours has not; '' for ours."""
    prefixes = list(_pairs(info["index_definition"]).get("prefixes", []))
    if prefixes != [schema.index.prefix]:
        return f"prefixes {prefixes} instead of {[schema.index.prefix]}"
    wanted: dict[str, dict[str, object]] = {
        "scope": {"type": "TAG"},
        vector_field(dimension): {
            "type": "VECTOR",
            "data_type": "FLOAT16",
            "dim": dimension,
            "distance_metric": "COSINE",
        },
    }
    fields = {str(one["attribute"]): one for one in map(_pairs, info["attributes"])}
    for name, attributes in wanted.items():
        found = fields.get(name, {"type": "nothing"})
        for what, value in attributes.items():
            if str(found.get(what, value)).upper() != str(
                value
            ):  # what an older engine does not tell is taken for ours
                return f"{name} has {what} {found.get(what)} instead of {value}"
    return ""


def _pairs(flat: Any) -> dict[str, Any]:
    """Redis tells of a mapping as one, or as a list of its names and values in turn."""
    if isinstance(flat, Mapping):
        return {str(name).lower(): value for name, value in flat.items()}
    return {str(name).lower(): value for name, value in zip(flat[::2], flat[1::2], strict=False)}


def _raise_if_no_answer(error: RedisVLError) -> None:
    """RedisVL wraps whatever happens; a Redis that is silent is not one that has no index."""
    cause = error.__cause__
    if isinstance(cause, (RedisError, OSError)) and not isinstance(cause, ResponseError):
        raise cause


def _is_missing(error: Exception) -> bool:
    text = str(error).lower()
    return "no such index" in text or "not found" in text or "unknown index" in text


def _reason(error: Exception) -> str:
    text = str(error)
    return f"{text} (Redis 8, or Redis Stack, has the query engine)" if "unknown command" in text.lower() else text
