"""What of a request lever 4 reads: the text that decides, and what ties the request to a model that answered before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from fivelevers.levers.semantic_cache.question import blocks_of, is_user, text_in, turns_of
from fivelevers.levers.shown import shortened
from fivelevers.request import Api

_THINKING = ("thinking", "redacted_thinking")


class Tie(StrEnum):
    """Why no other model can go on with a conversation than the one that answered last."""

    THINKING = "thinking"  # signed or encrypted reasoning, which its own model alone reads
    TOOL_CALL = "tool-call"  # one that is not answered yet by text of the user's
    STORED = "stored"  # the provider keeps the conversation


def prompt_of(api: Api, body: Mapping[str, Any]) -> str | None:
    """The text of the last turn of the user's that has any: what labelled prompts hold as their ``prompt``.

    Texts of one turn are joined by a blank line. None where the user wrote none.
    """
    for turn in reversed(turns_of(api, body)):
        texts = _texts(turn) if is_user(turn) else []
        if texts:
            return "\n\n".join(texts)
    return None


def goes_on(api: Api, body: Mapping[str, Any]) -> bool:
    """Whether the request holds what a model answered before."""
    return any(_is_models(turn) for turn in turns_of(api, body))


def tie_of(api: Api, body: Mapping[str, Any]) -> Tie | None:
    if api is Api.RESPONSES and any(body.get(name) for name in ("previous_response_id", "conversation")):
        return Tie.STORED
    turns = turns_of(api, body)
    if any(_signed(turn) for turn in turns):
        return Tie.THINKING
    return Tie.TOOL_CALL if any(_calls(turn) for turn in _unanswered(turns)) else None


def _unanswered(turns: Sequence[Any]) -> Iterator[Any]:
    """From the end, the turns behind the last text of the user's."""
    for turn in reversed(turns):
        if is_user(turn) and _texts(turn):
            return
        yield turn


def _texts(turn: Mapping[str, Any]) -> list[str]:
    found = (text_in(block) for block in blocks_of(turn))
    return [text for text in found if text is not None and text.strip()]


def _is_models(turn: object) -> bool:
    return isinstance(turn, dict) and (turn.get("role") == "assistant" or _kind(turn) == "reasoning" or _calls(turn))


def _kind(turn: Mapping[str, Any]) -> str:
    kind = turn.get("type")
    return kind if isinstance(kind, str) else ""


def _calls(turn: object) -> bool:
    """Chat: ``tool_calls``; Messages: a block ``tool_use``; Responses: an item ``function_call`` and its like."""
    if not isinstance(turn, dict):
        return False
    if turn.get("tool_calls") or turn.get("function_call") or _kind(turn).endswith("_call"):
        return True
    return any(isinstance(block, dict) and _kind(block) == "tool_use" for block in blocks_of(turn))


def _signed(turn: object) -> bool:
    """Messages: blocks of thinking; chat: LiteLLM's ``thinking_blocks``; Responses: items of reasoning."""
    if not isinstance(turn, dict):
        return False
    if _kind(turn) == "reasoning" or turn.get("thinking_blocks"):
        return True
    return any(isinstance(block, dict) and _kind(block) in _THINKING for block in blocks_of(turn))


def transcript(api: Api, body: Mapping[str, Any], limit: int) -> str:
    """The conversation as text, instructions first: what a judge of its answer reads.

    The last turn of the user's is whole; of what stands before it and behind it ``limit`` characters each, of its head
    and its tail.
    """
    instructions = body.get("system") or body.get("instructions")
    first: list[Any] = [{"role": "system", "content": instructions}] if instructions else []
    turns = first + turns_of(api, body)
    at = max((at for at, turn in enumerate(turns) if is_user(turn) and _texts(turn)), default=len(turns))
    before, last, behind = ("\n\n".join(filter(None, map(_told, part))) for part in _parted(turns, at))
    return "\n\n".join(filter(None, (shortened(before, limit), last, shortened(behind, limit))))


def _parted(turns: list[Any], at: int) -> tuple[list[Any], list[Any], list[Any]]:
    return turns[:at], turns[at : at + 1], turns[at + 1 :]


def _told(turn: object) -> str:
    if not isinstance(turn, Mapping):
        return ""
    texts = [text for block in blocks_of(turn) if (text := text_in(block)) is not None]
    return f"[{turn.get('role') or turn.get('type')}] " + "\n".join(texts) if texts else ""
