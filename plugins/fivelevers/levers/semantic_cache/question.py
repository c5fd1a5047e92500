"""The question of a request, and the rest of it: what two requests must share before one is given the other's answer.

The rest is the whole body with one text blanked. Left out is only what no answer depends on: how it is carried, whose
it is, and cache marks. Whatever is not understood stays in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fivelevers.request import Api, canonical_json

_CARRIED = {"stream", "stream_options", "timeout", "num_retries", "background"}
_WHOSE = {"user", "metadata", "litellm_metadata", "tags", "safety_identifier", "litellm_session_id"}
_KEPT = {"cache", "cache_control", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "store"}
_LEFT_OUT = frozenset(_CARRIED | _WHOSE | _KEPT)
_MARKS = ("cache_control", "prompt_cache_breakpoint")
_TEXT_TYPES = ("text", "input_text", "output_text")  # no set: what stands there may be unhashable
TURNS = {Api.CHAT: "messages", Api.MESSAGES: "messages", Api.RESPONSES: "input"}


@dataclass(frozen=True, slots=True)
class Question:
    """``text`` is the last that the user wrote; ``rest`` the SHA-256 of the request without it."""

    text: str
    rest: bytes


def question_of(api: Api, body: Mapping[str, Any]) -> Question | None:
    """None where the conversation does not end in a text of the user's."""
    turns = turns_of(api, body)
    found = _asked(turns)
    if found is None:
        return None
    at, text = found
    *earlier, last = turns
    blocks = blocks_of(last)
    blanked = [None if at == here else _block(block) for here, block in enumerate(blocks)]
    beside = {key: value for key, value in _unmarked(blocks[at]).items() if key not in ("type", "text")}
    rest = {key: value for key, value in body.items() if key not in _LEFT_OUT and value is not None}
    rest[TURNS[api]] = [_turn(turn) for turn in earlier]
    rest["system"] = _content(body.get("system") or [])
    if isinstance(tools := body.get("tools"), list):
        rest["tools"] = [_unmarked(tool) for tool in tools]
    whole = [api.value, rest, _turn({**last, "content": None}), at, blanked, beside, _namespace(body)]
    return Question(text, sha256(canonical_json(whole)).digest())


def asks(turns: list[Any]) -> bool:
    """Whether the conversation ends in a question."""
    return _asked(turns) is not None


def _asked(turns: list[Any]) -> tuple[int, str] | None:
    """The last text of the last turn, and which of its blocks that is."""
    if not turns or not is_user(turns[-1]):
        return None
    texts = ((at, text) for at, block in enumerate(blocks_of(turns[-1])) if (text := text_in(block)) is not None)
    *_, last = (None, *texts)
    return last if last is not None and last[1].strip() else None


def turns_of(api: Api, body: Mapping[str, Any]) -> list[Any]:
    """The messages or input items; a Responses input that is a string is one message of the user's."""
    turns = body.get(TURNS.get(api, ""))
    if api is Api.RESPONSES and isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    return turns if isinstance(turns, list) else []


def is_user(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") == "user" and turn.get("type") in (None, "message")


def blocks_of(turn: Mapping[str, Any]) -> list[Any]:
    """A string is one block of text."""
    content = turn.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def text_in(block: object) -> str | None:
    """None where the block is no text."""
    if not isinstance(block, dict) or block.get("type") not in _TEXT_TYPES:
        return None
    text = block.get("text")
    return text if isinstance(text, str) else None


def _turn(turn: object) -> object:
    """Without marks; saying that a message is a message adds nothing."""
    if not isinstance(turn, dict):
        return turn
    plain = {key: value for key, value in _unmarked(turn).items() if (key, value) != ("type", "message")}
    plain["content"] = _content(turn.get("content"))
    return plain


def _content(content: object) -> object:
    if isinstance(content, str):
        return [content]
    return [_block(block) for block in content] if isinstance(content, list) else content


def _block(block: object) -> object:
    """Without marks, and a text that stands alone as the text."""
    if not isinstance(block, dict):
        return [block]  # a bare string is no block of text
    plain, text = _unmarked(block), text_in(block)
    return text if text is not None and len(plain) == 2 else plain


def _unmarked(part: object) -> Any:
    return {key: value for key, value in part.items() if key not in _MARKS} if isinstance(part, dict) else part


def _namespace(body: Mapping[str, Any]) -> object:
    """LiteLLM's own way for a client to keep its cached answers apart."""
    cache = body.get("cache")
    return cache.get("namespace") if isinstance(cache, dict) else None
