"""How a call was made, as far as a log tells: what speaks for or against somebody waiting for its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from fivelevers.request import Api

_AGENT_TAG: Final = "User-Agent: "  # how LiteLLM's request tags name it: the product, and the whole
_BROWSER: Final = "Mozilla/"  # every browser calls itself so
_PRODUCT: Final = re.compile(r"[^\d(;,]{0,40}")
_OTHER_TIERS: Final = ("flex", "priority")  # of OpenAI: at a batch's price already, or for who is in a hurry
_PROMPT: Final = ("messages", "input")  # a body without one is no whole body
_CONVERSATION: Final = ("previous_response_id", "conversation")


@dataclass(frozen=True, slots=True)
class Manner:
    """``api`` and ``streamed`` are None where the log does not tell. ``agent``: the program that called, without its
    version, empty where it is not named. ``deferred``: the caller itself asked for no answer at once. ``other_tier``:
    for a service tier with prices of its own. ``continued``: it names the answer that it goes on from.
    """

    api: Api | None = None
    streamed: bool | None = None
    agent: str = ""
    browser: bool = False
    deferred: bool = False
    other_tier: bool = False
    continued: bool = False


NOTHING_TOLD: Final = Manner()


def manner_of(
    body: Mapping[str, Any], *, api: Api | None, streamed: bool | None = None, agent: str | None = None
) -> Manner:
    """``body``: the request, empty where the log does not hold it. ``streamed``: where the log says it elsewhere."""
    if streamed is None and ("stream" in body or any(name in body for name in _PROMPT)):
        streamed = body.get("stream") is True
    deferred = body.get("background") is True or body.get("service_tier") == "batch"
    other_tier = body.get("service_tier") in _OTHER_TIERS
    continued = any(body.get(name) for name in _CONVERSATION)
    browser = (agent or "").startswith(_BROWSER)
    return _shared(api, streamed, _product(agent or ""), browser, deferred, other_tier, continued)


_shared = lru_cache(maxsize=1024)(Manner)  # a log has few, and its calls stay in memory until they are in order


def agent_in(tags: Iterable[str]) -> str | None:
    """The longest user agent among LiteLLM's request tags."""
    return max((tag.removeprefix(_AGENT_TAG) for tag in tags if tag.startswith(_AGENT_TAG)), key=len, default=None)


def without_agents(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags that somebody gave."""
    return tuple(tag for tag in tags if not tag.startswith(_AGENT_TAG))


def _product(agent: str) -> str:
    found = _PRODUCT.match(agent)
    return found.group().rstrip(" /") if found else ""
