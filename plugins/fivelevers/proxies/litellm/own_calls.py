"""Calls that a lever makes itself, through the proxy's own router: what a judge is asked, what is embedded.

They are metered as the lever's own: on the bill, charged to it, and about the request that caused them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fivelevers.errors import EmbedderError
from fivelevers.providers.embedding_endpoint import unit

JUDGE_LIMIT_S = 30.0
EMBED_LIMIT_S = 2.0
_REPLY_TOKENS = 16


def router() -> Any:
    """LiteLLM's, or None outside a proxy and in one without models."""
    proxy = sys.modules.get("litellm.proxy.proxy_server")
    return None if proxy is None else proxy.llm_router


async def ask(model: str, messages: Sequence[dict[str, str]]) -> str | None:
    """The model's reply; None where the proxy does not have that model, or it gave none in time."""
    known = router()
    if known is None:
        return None
    try:
        async with asyncio.timeout(JUDGE_LIMIT_S):
            answer = await known.acompletion(
                model=model,
                messages=list(messages),
                temperature=0,
                max_tokens=_REPLY_TOKENS,
                drop_params=True,  # models that think take no temperature
                num_retries=0,
                cache={"no-cache": True, "no-store": True},
            )
    except Exception:  # whatever a provider does to a judge, it has not judged
        return None
    content = answer.choices[0].message.content if answer.choices else None
    return content if isinstance(content, str) else None


@dataclass(frozen=True, slots=True)
class RouterEmbedder:
    """An embedding model of this proxy. ``own``: runs a call as the lever's own (see Answering)."""

    model: str
    dimension: int
    own: Callable[[Awaitable[Any]], Awaitable[Any]]

    @property
    def version(self) -> str:
        return f"litellm:{self.model}:{self.dimension}"

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Sequence[float]]:
        """``behind``: the router has no queue of ours. Raises EmbedderError."""
        known = router()
        if known is None:
            raise EmbedderError(f"embedder {self.model}: this proxy has no models")
        call = known.aembedding(model=self.model, input=list(texts), num_retries=0, encoding_format="float")
        try:
            async with asyncio.timeout(EMBED_LIMIT_S):
                answer = await self.own(call)
            return [unit(item["embedding"], self.dimension) for item in answer.data]
        except Exception as error:
            raise EmbedderError(f"embedder {self.model}: {error or type(error).__name__}") from error
