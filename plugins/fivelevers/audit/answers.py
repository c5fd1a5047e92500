"""What a logged response says, in the shapes of OpenAI's two APIs and Anthropic's, whole or as a stream's chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WHOLE = (None, "stop", "end_turn", "stop_sequence", "completed")
CUT_OFF = ("length", "max_tokens", "max_output_tokens")  # of the chat API, the Messages API, Responses
_TEXT_TYPES = ("text", "output_text")
_NOT_IN_THE_LOG = ("redacted-by-litellm", "litellm_truncated")


@dataclass(frozen=True, slots=True)
class Said:
    """``whole``: it is a text that is complete and all there is to the answer, as far as the log tells: no tool call,
    not cut off, not filtered. ``text`` None: the log does not have it.
    """

    whole: bool
    text: str | None = None


def cut_off(response: Mapping[str, Any]) -> bool | None:
    """Whether an answer ended at its token limit; None where the log does not say how it ended."""
    choices = _objects(response.get("choices"))
    details = _object(response.get("incomplete_details"))
    reason = choices[0].get("finish_reason") if choices else response.get("stop_reason") or details.get("reason")
    return reason in CUT_OFF if reason or response.get("status") else None


def cut_off_in_stream(chunks: Iterable[Any]) -> bool | None:
    """The same of a stream's chunks."""
    told: bool | None = None
    for chunk in _objects(chunks):
        reasons = [reason for _, reason in _deltas(chunk) if reason]
        if reasons:
            told = reasons[-1] in CUT_OFF
        done = chunk.get("response")
        if isinstance(done, Mapping) and chunk.get("type") in ("response.completed", "response.incomplete"):
            told = cut_off(done)
    return told


def ended_whole(finish_reason: str | None) -> bool:
    """None: the log does not say, and most answers do."""
    return finish_reason in _WHOLE


def said_in(response: Mapping[str, Any]) -> Said | None:
    """None where it is no answer of an API that we read."""
    if choices := _objects(response.get("choices")):
        return _of_choice(choices)
    if "output" in response:
        return _of_items(_objects(response["output"]), response.get("status"))
    if "content" in response:
        return _of_blocks(_objects(response["content"]), response.get("stop_reason"))
    return None


def said_in_stream(chunks: Iterable[Any]) -> Said | None:
    """The text of all chunks put together."""
    texts: list[str] = []
    whole = True
    for chunk in _objects(chunks):
        done = chunk.get("response")
        if isinstance(done, Mapping) and "output" in done and chunk.get("type") == "response.completed":
            return said_in(done)
        for delta, reason in _deltas(chunk):
            text = delta.get("content") or delta.get("text")
            texts += [text] if isinstance(text, str) else []
            whole &= ended_whole(reason) and not delta.get("tool_calls") and delta.get("type") != "tool_use"
    return Said(whole, _kept("".join(texts))) if texts or not whole else None


def _deltas(chunk: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """(what came, why it ended) of a chunk of the chat API or of the Messages API."""
    for choice in _objects(chunk.get("choices")):
        yield _object(choice.get("delta")), choice.get("finish_reason")
    for name in ("delta", "content_block"):
        if delta := _object(chunk.get(name)):
            yield delta, delta.get("stop_reason")


def _of_choice(choices: list[Mapping[str, Any]]) -> Said:
    message = _object(choices[0].get("message"))
    content = message.get("content")
    text = content if isinstance(content, str) else _joined(_objects(content))
    asks = message.get("tool_calls") or message.get("function_call") or message.get("refusal")
    return Said(len(choices) == 1 and ended_whole(choices[0].get("finish_reason")) and not asks, _kept(text))


def _of_items(items: list[Mapping[str, Any]], status: object) -> Said:
    messages = [item for item in items if item.get("type") == "message"]
    others = any(item.get("type") not in ("message", "reasoning") for item in items)
    text = "".join(_joined(_objects(message.get("content"))) for message in messages)
    return Said(status in (None, "completed") and len(messages) == 1 and not others, _kept(text))


def _of_blocks(blocks: list[Mapping[str, Any]], reason: object) -> Said:
    texts_alone = bool(blocks) and all(block.get("type") in _TEXT_TYPES for block in blocks)
    return Said(reason in _WHOLE and texts_alone, _kept(_joined(blocks)))


def _joined(blocks: list[Mapping[str, Any]]) -> str:
    return "".join(str(block.get("text") or "") for block in blocks if block.get("type") in _TEXT_TYPES)


def _kept(text: str) -> str | None:
    return None if not text or any(mark in text for mark in _NOT_IN_THE_LOG) else text


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, Iterable) else []
