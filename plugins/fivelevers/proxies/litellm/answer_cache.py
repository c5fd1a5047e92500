"""The cache that LiteLLM asks before it calls a provider: it hands out the answer that was found for the request.

It finds none and keeps none itself. Answers are looked up once, by the flow of lever 2, before LiteLLM has chosen a
deployment; here they are given the shape that their API has. LiteLLM then logs the call as a hit that cost nothing, and
the host's output guardrails run on it as on any answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import litellm
from litellm.caching.caching import Cache, CacheMode
from litellm.caching.in_memory_cache import InMemoryCache
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper
from litellm.llms.openai.responses.transformation import OpenAIResponsesAPIConfig
from litellm.responses.streaming_iterator import CachedResponsesAPIStreamingIterator
from litellm.types.caching import CACHED_STREAM_EVENTS_KEY, EMBEDDING_CACHE_FORMAT_VERSION, SemanticCacheScope
from litellm.types.llms.openai import ResponsesAPIResponse
from litellm.types.utils import ModelResponse, ModelResponseStream

from fivelevers import metrics
from fivelevers.answer import StoredAnswer
from fivelevers.proxies.litellm import answer_shapes
from fivelevers.proxies.litellm.answer_shapes import Rendering
from fivelevers.request import Api

LEVER = "semantic_cache"
HOST_CACHE = "host_cache"
_APIS = {
    "acompletion": Api.CHAT,
    "anthropic_messages": Api.MESSAGES,
    "aresponses": Api.RESPONSES,
    "aembedding": Api.EMBEDDINGS,
}


@dataclass(slots=True)
class Hit:
    """The answer to one request. ``call_id``: LiteLLM's id of its outermost call; ``answer_id``: the store's name.

    ``given``: LiteLLM has taken it, and nobody is asked. Its log does not always say so: a stream of a hit that the
    client leaves is logged as no hit, or not at all.
    """

    api: Api
    call_id: str
    answer: StoredAnswer
    answer_id: str
    given: bool = field(default=False, init=False)


# LiteLLM prices a hit in some of its headers as if it had been billed.
FREE = {
    "x-litellm-response-cost" + part: "0.0"
    for part in ("", "-original", "-input", "-output", "-cache-read", "-cache-creation")
}
"""The headers of a hit that say what it cost."""

# LiteLLM asks for each text of an embedding by its key alone. Only lever 3 has one, a placeholder.
# It must be whole: of an entry that LiteLLM does not understand it asks the provider.
_NO_VECTOR: Mapping[str, object] = {
    "embedding": [0.0],
    "index": 0,
    "object": "embedding",
    "model": None,
    "prompt_tokens": 0,
    "prompt_tokens_details": None,
    "format_version": EMBEDDING_CACHE_FORMAT_VERSION,
}

CurrentHit = Callable[[], Hit | None]


class AnswerCache(Cache):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    """LiteLLM's facade of a cache, with nothing behind it.

    LiteLLM asks it first whether it caches a kind of call at all. Without a hit it says no: then LiteLLM neither builds
    keys nor copies answers for it, and a request that lever 2 has nothing for costs nothing more.
    """

    def __init__(self, current_hit: CurrentHit) -> None:
        # Not LiteLLM's own, which also enters itself in lists of callbacks.
        self._current_hit = current_hit
        self.cache = InMemoryCache()  # LiteLLM looks at its class, and asks it for nothing
        self.type = "local"
        self.mode = CacheMode.default_on
        self.namespace = self.ttl = self.redis_flush_size = self.max_messages = None
        self.semantic_cache_scope = SemanticCacheScope.KEY.value

    @property
    def supported_call_types(self) -> tuple[str, ...] | None:
        hit = self._hit()
        if hit is None:
            return None
        embedding = hit.api is Api.EMBEDDINGS
        return tuple(name for name, api in _APIS.items() if (api is Api.EMBEDDINGS) is embedding)

    def get_cache_key(self, **kwargs: Any) -> str:
        """Shown in the header x-litellm-cache-key and in spend logs."""
        hit = self._hit()
        return hit.answer_id if hit is not None else ""

    async def async_get_cache(self, dynamic_cache_object: Any = None, **kwargs: Any) -> Any:
        """The answer as what LiteLLM hands on; None for every call but the one that the client made."""
        hit = self._hit()
        if hit is not None and hit.api is Api.EMBEDDINGS and kwargs.get("cache_key") == hit.answer_id:
            hit.given = True
            return dict(_NO_VECTOR)
        if hit is None or not _is_meant(hit, kwargs):
            return None
        try:
            rendered = _rendered(hit, kwargs)
        except Exception as error:
            metrics.count_bypass(LEVER, "rendering", error)
            return None
        hit.given = True
        return rendered

    def _hit(self) -> Hit | None:
        try:
            return self._current_hit()
        except Exception as error:
            metrics.count_bypass(LEVER, "rendering", error)
            return None

    def get_cache(self, dynamic_cache_object: Any = None, **kwargs: Any) -> None:
        """Nothing that the proxy serves is a synchronous call."""

    async def async_add_cache(self, result: Any, dynamic_cache_object: Any = None, **kwargs: Any) -> None:
        """Answers are stored from the log, once they are whole."""

    def add_cache(self, result: Any, **kwargs: Any) -> None: ...

    async def async_add_cache_pipeline(self, result: Any, dynamic_cache_object: Any = None, **kwargs: Any) -> None: ...

    async def disconnect(self) -> None: ...


def install(current_hit: CurrentHit) -> str | None:
    """Put the cache in its place, where it is not yet. A host that has one of its own keeps it: ``HOST_CACHE``."""
    standing = litellm.cache
    if standing is None:
        litellm.cache = AnswerCache(current_hit)
    elif not isinstance(standing, AnswerCache):
        return HOST_CACHE
    return None


def ask(data: dict[str, Any]) -> None:
    """Have LiteLLM ask the cache for this one request; its router says for every call whether that asks, and says no.

    LiteLLM's own ``data`` of the request is changed: of the client's ``cache`` it reads the fields without a look.
    """
    data["caching"] = True
    if not isinstance(data.get("cache"), dict):
        data["cache"] = {}


def _is_meant(hit: Hit, kwargs: Mapping[str, Any]) -> bool:
    """A guardrail's own call, a bridge's inner one or an embedding has another id, or another type."""
    log = kwargs.get("litellm_logging_obj")
    return kwargs.get("litellm_call_id") == hit.call_id and _APIS.get(str(getattr(log, "call_type", ""))) is hit.api


def _rendered(hit: Hit, kwargs: Mapping[str, Any]) -> Any:
    """What LiteLLM's own function would have returned: what is made here can fail here, where the provider is left."""
    of = Rendering(hit.answer, int(time.time()), kwargs)
    log, stream = kwargs["litellm_logging_obj"], kwargs.get("stream") is True
    if hit.api is Api.MESSAGES:
        events = list(answer_shapes.message_events(of)) if stream else None
        return {CACHED_STREAM_EVENTS_KEY: events} if events else answer_shapes.message(of)
    if hit.api is Api.CHAT:
        return _chat_stream(of, log) if stream else ModelResponse(**answer_shapes.chat_completion(of))
    return _ResponseStream(of, log, kwargs) if stream else ResponsesAPIResponse(**answer_shapes.response(of))


def _chat_stream(of: Rendering, log: Any) -> CustomStreamWrapper:
    chunks = [ModelResponseStream(**chunk) for chunk in answer_shapes.chat_chunks(of)]
    return CustomStreamWrapper(_one_by_one(chunks), of.answer.model, log, custom_llm_provider="cached_response")


async def _one_by_one(chunks: Iterable[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


class _ResponseStream(CachedResponsesAPIStreamingIterator):  # type: ignore[misc]  # as above
    """LiteLLM's own, but for its events: these lack numbers, and their first item holds the text already."""

    def __init__(self, of: Rendering, log: Any, kwargs: Mapping[str, Any]) -> None:
        self._of = of
        whole = ResponsesAPIResponse(**answer_shapes.response(of))
        super().__init__(whole, log, request_data=dict(kwargs), call_type="aresponses")

    def _set_events_from_response(self, transformed: Any, logging_obj: Any) -> None:
        classes = OpenAIResponsesAPIConfig.get_event_model_class
        self._events = [classes(event["type"])(**event) for event in answer_shapes.response_events(self._of)]
        self._idx = 0
        self.completed_response = self._events[-1]
