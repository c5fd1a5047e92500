"""Embeddings from any endpoint that speaks OpenAI's `/v1/embeddings`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf, sqrt
from typing import Any
from urllib.parse import urlsplit

from fivelevers.errors import EmbedderError

LIMIT_S = 2.0  # of one call; who waits for a look-up has a limit of its own


def unit(vector: Sequence[float], dimension: int) -> Sequence[float]:
    """The vector at unit length. Raises EmbedderError where its dimension is another one, or it has no direction."""
    if len(vector) != dimension:
        fix = "correct levers.semantic_cache.embedder.dimension"
        raise EmbedderError(f"gives vectors of {len(vector)}, the policy says {dimension}; {fix}")
    norm = sqrt(sum(value * value for value in vector))
    if not 0 < norm < inf:  # neither is NaN
        raise EmbedderError("gives a vector without a direction (all 0, or not finite)")
    return [value / norm for value in vector]


class EmbeddingEndpoint:
    """One endpoint and model. ``url`` ends with its `/v1`; ``key_env`` names the variable that holds its key."""

    def __init__(self, url: str, model: str, dimension: int, key_env: str | None = None) -> None:
        self.dimension = dimension
        self._url, self._model, self._key_env = url.rstrip("/"), model, key_env
        self._client: Any = None

    @property
    def version(self) -> str:
        return f"{self._host}:{self._model}:{self.dimension}"

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc.rpartition("@")[2]

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Sequence[float]]:
        """``behind``: there is no queue of ours. Raises EmbedderError; its text names the host, never the key."""
        try:
            import httpx
        except ImportError as error:
            raise self._error("httpx is not installed: pip install 'fivelevers[semantic]'") from error
        self._client = self._client or httpx.AsyncClient(timeout=LIMIT_S)
        key = os.environ.get(self._key_env, "") if self._key_env else ""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        asked = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            answer = await self._client.post(f"{self._url}/embeddings", json=asked, headers=headers)
        except httpx.HTTPError as error:
            raise self._error(type(error).__name__) from error
        if answer.status_code != 200:
            raise self._error(f"answered with status {answer.status_code}")
        return self._vectors(answer, len(texts))

    def _vectors(self, answer: Any, count: int) -> list[Sequence[float]]:
        try:
            rows = sorted(answer.json()["data"], key=lambda row: row["index"])
            vectors = [[float(value) for value in row["embedding"]] for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise self._error("did not answer with embeddings") from error
        if len(vectors) != count:
            raise self._error(f"gave {len(vectors)} vectors for {count} texts")
        try:
            return [unit(vector, self.dimension) for vector in vectors]
        except EmbedderError as error:
            raise self._error(str(error)) from None

    def _error(self, what: str) -> EmbedderError:
        return EmbedderError(f"embedder {self._model} at {self._host}: {what}")
