"""The prompt of a logged call, where the log holds it whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit.calls import Text
from fivelevers.levers.prompt_cache.opening import Opening, opening_of
from fivelevers.request import Api, Request, canonical_json, parse

# What LiteLLM writes in the place of text: where a callback must not see it, and where its table cuts it.
_REDACTED, _TRUNCATED = b"redacted-by-litellm", b"litellm_truncated"
_TOKENS_PER_CHAR, _UNSEEN_TOKENS = 2, 500  # no tokenizer of text makes more; providers add instructions for tools
_SAID = ("messages", "input")


def prompt(api: Api | None, body: Mapping[str, Any], prompt_tokens: int) -> tuple[Text, Request | None, Opening | None]:
    """What there is of a prompt that was billed at so many tokens. ``api`` None: told from the body."""
    if not any(body.get(name) for name in _SAID):
        return Text.ABSENT, None, None
    written = canonical_json(body)
    for mark, text in ((_REDACTED, Text.REDACTED), (_TRUNCATED, Text.TRUNCATED)):
        if mark in written:
            return text, None, None
    request = parse(api or _api(body), body)
    if prompt_tokens > _TOKENS_PER_CHAR * request.chars + _UNSEEN_TOKENS:
        return Text.PARTIAL, None, None
    return Text.WHOLE, request, opening_of(body, request)


def _api(body: Mapping[str, Any]) -> Api:
    if "messages" in body:
        anthropic = "system" in body or ("max_tokens" in body and str(body.get("model", "")).startswith("claude"))
        return Api.MESSAGES if anthropic else Api.CHAT
    return Api.RESPONSES if isinstance(body.get("input"), list) or "instructions" in body else Api.EMBEDDINGS
