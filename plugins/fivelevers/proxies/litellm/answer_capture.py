"""An answer that LiteLLM logged, as it may be given to others; or why it may not.

Stored is a text that is complete and is all there is to the answer. In all of LiteLLM's shapes (chat, Messages and
Responses, streamed or not, bridged or not) the log holds a ``ModelResponse`` or a ``ResponsesAPIResponse``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from litellm.litellm_core_utils.redact_messages import should_redact_message_logging

from fivelevers.answer import StoredAnswer
from fivelevers.engine import Answer
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.reading import mapping, output_of


class Unstorable(StrEnum):
    """Why an answer is not stored."""

    HIT = "hit"  # it comes from a cache
    REDACTED = "redacted"  # the log does not hold the text
    LEFT = "left"  # the client left in the middle
    UNREPORTED = "unreported"  # nobody told its usage: it may have ended early
    SEVERAL = "several"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    TOOL_CALL = "tool_call"
    INCOMPLETE = "incomplete"
    REASONING = "reasoning"  # signed, encrypted or summarised: it belongs to the answer
    MORE = "more"  # citations, annotations, log-probabilities, audio, images ...
    EMPTY = "empty"


_WHY = {
    "length": Unstorable.TRUNCATED,
    "max_tokens": Unstorable.TRUNCATED,
    "max_output_tokens": Unstorable.TRUNCATED,
    "content_filter": Unstorable.FILTERED,
    "tool_calls": Unstorable.TOOL_CALL,
    "function_call": Unstorable.TOOL_CALL,
}
_WHOLE = ("stop", "completed")
# LiteLLM calls every ending that it does not know "stop", failures too, and keeps the provider's word beside it.
_WHOLE_NATIVE = (None, "stop", "end_turn", "stop_sequence", "eos", "eos_token", "STOP", "COMPLETE")
_NO_PART = ("reasoning", "reasoning_content", "refusal")  # of what a provider adds; refusals are looked at apart


def answer_of_log(
    kwargs: dict[str, Any],
    response: Any,
    attempt: Answer,
    *,
    expires_at: float,
    tags: tuple[str, ...] = (),
    plain: Usage | None = None,
) -> StoredAnswer | Unstorable:
    """From what ``async_log_success_event`` is told, and the ``attempt`` that `reading.answer_of` made of it."""
    why = _not_to_be_had(kwargs, attempt) or _unlike_a_text(response, attempt.finish_reason)
    if why is not None:
        return why
    text = output_of(response).text
    if not text.strip():
        return Unstorable.EMPTY
    if attempt.usage is None:
        return Unstorable.UNREPORTED
    return StoredAnswer(
        text=text,
        model=attempt.model,
        provider=attempt.provider,
        deployment=attempt.deployment,
        usage=attempt.usage,
        created_at=attempt.at,
        expires_at=expires_at,
        tags=tags,
        plain=plain,
    )


def _not_to_be_had(kwargs: dict[str, Any], attempt: Answer) -> Unstorable | None:
    if mapping(kwargs.get("standard_logging_object")).get("cache_hit") is True:
        return Unstorable.HIT
    params = mapping(kwargs.get("litellm_params"))
    if any(mapping(params.get(name)).get("client_disconnected") for name in ("metadata", "litellm_metadata")):
        return Unstorable.LEFT
    if should_redact_message_logging(kwargs):
        return Unstorable.REDACTED
    return None if attempt.reported else Unstorable.UNREPORTED


def _unlike_a_text(response: Any, reason: str | None) -> Unstorable | None:
    if output_of(response).tool_calls:
        return Unstorable.TOOL_CALL
    if reason not in _WHOLE:
        return _WHY.get(reason or "", Unstorable.INCOMPLETE)
    choices = _get(response, "choices")
    return _by_choices(choices) if choices else _by_items(_list(_get(response, "output")))


def _by_choices(choices: list[Any]) -> Unstorable | None:
    if len(choices) > 1:
        return Unstorable.SEVERAL
    choice, message = choices[0], _get(choices[0], "message")
    if mapping(_get(choice, "provider_specific_fields")).get("native_finish_reason") not in _WHOLE_NATIVE:
        return Unstorable.INCOMPLETE
    added = mapping(_get(message, "provider_specific_fields"))
    if _get(message, "refusal") or added.get("refusal"):
        return Unstorable.FILTERED
    if _get(message, "thinking_blocks") or _get(message, "reasoning_items"):
        return Unstorable.REASONING
    beside = [_get(message, name) for name in ("audio", "images", "annotations")]
    if any(beside) or _get(choice, "logprobs") or any(v for name, v in added.items() if name not in _NO_PART):
        return Unstorable.MORE
    return None


def _by_items(items: list[Any]) -> Unstorable | None:
    """One message of one text, and beside it no reasoning but such as says nothing."""
    texts = 0
    for item in items:
        kind = _get(item, "type")
        if kind == "reasoning":
            if any(_get(item, name) for name in ("summary", "content", "encrypted_content")):
                return Unstorable.REASONING
        elif kind != "message":
            return Unstorable.MORE
        for part in _list(_get(item, "content")) if kind == "message" else ():
            if _get(part, "type") == "refusal":
                return Unstorable.FILTERED
            if _get(part, "annotations") or _get(part, "logprobs"):
                return Unstorable.MORE
            texts += 1
    return Unstorable.SEVERAL if texts > 1 else None


def _get(thing: Any, name: str) -> Any:
    """LiteLLM logs objects, and dictionaries in their place where it has no class for them."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
