"""The embedders of the policy's routes: one of each kind in a process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fivelevers.errors import EmbedderError
from fivelevers.levers.semantic_cache.memory import Embedder
from fivelevers.policy import SemanticCacheSwitch
from fivelevers.policy.levers import Embedder as Wanted
from fivelevers.providers.embedding_endpoint import EmbeddingEndpoint
from fivelevers.providers.minilm import MiniLm
from fivelevers.proxies.litellm.own_calls import RouterEmbedder

Own = Callable[[Awaitable[Any]], Awaitable[Any]]


class Embedders:
    """Bounded by the policy: it names them."""

    def __init__(self) -> None:
        self._minilm: MiniLm | None = None
        self._said: str | None = None
        self._endpoints: dict[Wanted, EmbeddingEndpoint] = {}

    @property
    def problem(self) -> str | None:
        """What was wrong with an embedder at the last look-up of this process."""
        return self._said

    def heard(self, error: Exception | None) -> None:
        """A look-up's error, or None after one without."""
        if error is None or isinstance(error, EmbedderError):
            self._said = None if error is None else str(error)

    def of(self, settings: SemanticCacheSwitch, own: Own) -> Embedder:
        """``own`` runs a call as the lever's own: an embedding model of this proxy costs what it costs."""
        wanted = settings.embedder
        if wanted.in_process:
            self._minilm = self._minilm or MiniLm()
            self._minilm.start()
            return self._minilm
        if wanted.url is None:
            return RouterEmbedder(wanted.model, wanted.dimension or 0, own)
        if wanted not in self._endpoints:
            made = EmbeddingEndpoint(wanted.url, wanted.model, wanted.dimension or 0, wanted.api_key_env)
            self._endpoints[wanted] = made
        return self._endpoints[wanted]
