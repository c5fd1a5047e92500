"""LiteLLM's shapes read into ours: who calls, what was asked, how an attempt ended. No decision is made here.

Each field was checked against LiteLLM 1.106.2 on chat, messages and responses, streamed and not, bridged and not
(tests/wire/test_litellm_contract.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from litellm.proxy.auth.auth_utils import get_end_user_id_from_request_body

from fivelevers.engine import Answer
from fivelevers.output import Output, ToolCall
from fivelevers.policy import Caller
from fivelevers.prices import Usage
from fivelevers.request import Api, Request, parse

_APIS = {
    "acompletion": Api.CHAT,
    "completion": Api.CHAT,
    "anthropic_messages": Api.MESSAGES,
    "aresponses": Api.RESPONSES,
    "responses": Api.RESPONSES,
    "aembedding": Api.EMBEDDINGS,
    "embeddings": Api.EMBEDDINGS,
}
_ID_HEADERS = ("llm_provider-x-request-id", "llm_provider-request-id")
_HASHED = re.compile(r"(hashed-jwt-)?[0-9a-f]{64}")
_CALL_ITEMS = frozenset({"function_call", "custom_tool_call"})
_TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens"})


@dataclass(slots=True)
class Deployment:
    """The deployment that an attempt went to, as the deployment hook saw it."""

    call_type: str
    started_at: float
    model: str
    provider: str
    provider_key: str | None
    id: str | None
    partial: Usage | None = field(default=None)


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def request_of(data: Mapping[str, Any], call_type: str) -> tuple[Request, Mapping[str, Any]]:
    """The canonical request, and the fields that may name its session.

    The fields are those that the client sent; their values those that hooks before ours left, since these are what
    LiteLLM sends on.
    """
    sent = mapping(mapping(data.get("proxy_server_request")).get("body"))
    body = {name: data.get(name, value) for name, value in sent.items()} if sent else data
    bucket = mapping(data.get("metadata") or data.get("litellm_metadata"))
    hints = {**body, "litellm_session_id": data.get("litellm_session_id"), "metadata": bucket}
    return parse(_APIS.get(str(call_type), Api.OTHER), body), hints


def caller_of(key: Any, data: Mapping[str, Any]) -> Caller:
    """Who calls: from LiteLLM's ``UserAPIKeyAuth`` and the request that came with it."""
    http = mapping(data.get("proxy_server_request"))
    bucket = mapping(data.get("metadata") or data.get("litellm_metadata"))
    tags = bucket.get("tags")
    return Caller(
        path=str(getattr(key, "request_route", None) or bucket.get("user_api_key_request_route") or ""),
        headers={str(k).lower(): str(v) for k, v in mapping(http.get("headers")).items()},
        key=key_name(key),
        key_alias=getattr(key, "key_alias", None),
        team=getattr(key, "team_id", None),
        team_alias=getattr(key, "team_alias", None),
        end_user=getattr(key, "end_user_id", None) or _end_user(key, http),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
    )


def _end_user(key: Any, http: Mapping[str, Any]) -> str | None:
    """LiteLLM looks for the end user after its own authentication, but not after a custom one."""
    if getattr(key, "authenticated_by_custom_auth", False) is not True:
        return None
    found = get_end_user_id_from_request_body(mapping(http.get("body")), mapping(http.get("headers")))
    return str(found) if found else None


def key_name(key: Any) -> str:
    """LiteLLM's hash of the caller's key; never the key. Callers without one (JWT) are named by their user and team."""
    name = getattr(key, "token", None) or getattr(key, "api_key", None)
    if not name:
        who = [getattr(key, part, None) for part in ("user_id", "team_id", "org_id")]
        return sha256(repr(who).encode()).hexdigest() if any(who) else "anonymous"
    # LiteLLM hashes keys that start with `sk-`; one of custom auth may look like anything.
    return str(name) if _HASHED.fullmatch(str(name)) else sha256(str(name).encode()).hexdigest()


def deployment_of(kwargs: Mapping[str, Any], call_type: object, now: float) -> Deployment:
    """What the deployment hook says about the attempt that starts."""
    info = mapping(kwargs.get("model_info"))
    model, provider = named(str(info.get("base_model") or kwargs.get("model") or ""), kwargs.get("custom_llm_provider"))
    deployment_id = info.get("id")
    return Deployment(
        call_type=str(getattr(call_type, "value", call_type)),
        started_at=now,
        model=model,
        provider=provider,
        provider_key=fingerprint(kwargs.get("api_key")),
        id=str(deployment_id) if deployment_id else None,
    )


def named(model: str, provider: object) -> tuple[str, str]:
    """(model without its provider's prefix, provider)."""
    prefix, slash, rest = model.partition("/")
    if isinstance(provider, str) and provider:
        return (rest if slash and prefix == provider else model), provider
    return (rest, prefix) if slash else (model, "unknown")


def fingerprint(api_key: object) -> str | None:
    """Names a provider account in the ledger without giving its key away: 8 hex digits of its SHA-256."""
    return sha256(api_key.encode()).hexdigest()[:8] if isinstance(api_key, str) and api_key else None


def answer_of(
    kwargs: Mapping[str, Any], response: Any, deployment: Deployment | None, start: float, end: float
) -> Answer:
    """The end of an attempt that LiteLLM logged as a success."""
    log = mapping(kwargs.get("standard_logging_object"))
    provider = log.get("custom_llm_provider") or (deployment.provider if deployment else None)
    model, provider = named(str(log.get("model") or ""), provider)
    params = mapping(kwargs.get("litellm_params"))
    if deployment is not None and deployment.model:
        model, provider = deployment.model, deployment.provider
    hit = log.get("cache_hit") is True
    usage = None if hit else usage_of(mapping(mapping(log.get("metadata")).get("usage_object")))
    if usage is not None and not usage.prompt:
        usage = None  # LiteLLM found no count, and no prompt has no tokens
    return Answer(
        at=end,
        started_at=start,
        model=model,
        provider=provider,
        provider_key=deployment.provider_key if deployment else fingerprint(kwargs.get("api_key")),
        deployment=(deployment.id if deployment else None) or log.get("model_id"),
        provider_request_id=None if hit else _provider_request_id(log, response),
        success=True,
        error=None,
        finish_reason=finish_reason(response),
        usage=usage,
        reported=hit or (usage is not None and _reported(kwargs, log, params)),
        generated_chars=_text_length(response),
    )


def usage_of(counted: Mapping[str, Any]) -> Usage | None:
    """LiteLLM's usage object by kind of token. Its ``prompt_tokens`` hold cached and written ones too."""
    if not counted:
        return None
    details = mapping(counted.get("prompt_tokens_details"))
    read = _int(details.get("cached_tokens") or counted.get("cache_read_input_tokens"))
    by_ttl = mapping(details.get("cache_creation_token_details"))
    write_1h = _int(by_ttl.get("ephemeral_1h_input_tokens"))
    written = _int(
        details.get("cache_creation_tokens")
        or counted.get("cache_creation_input_tokens")
        or details.get("cache_write_tokens")
    )
    write_5m = max(written - write_1h, _int(by_ttl.get("ephemeral_5m_input_tokens")))
    prompt = _int(counted.get("prompt_tokens"))
    return Usage(
        input=max(prompt - read - write_5m - write_1h, 0),
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        output=_int(counted.get("completion_tokens")),
    )


def _reported(kwargs: Mapping[str, Any], log: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether the provider counted the tokens, or LiteLLM guessed them, which it does without saying so.

    It guesses when a client left a stream, and when a stream ended without usage. The latter shows in what a guess
    lacks: details of the prompt (OpenAI's shape), or any prompt token at all (Anthropic's).
    """
    for bucket in ("metadata", "litellm_metadata"):
        if mapping(params.get(bucket)).get("client_disconnected"):
            return False
    usage = mapping(mapping(log.get("metadata")).get("usage_object"))
    if log.get("stream") is not True:
        return True
    counted = bool(usage.get("prompt_tokens")) and usage.get("prompt_tokens_details") is not None
    return counted and _read_to_its_end(kwargs, usage)


def _read_to_its_end(kwargs: Mapping[str, Any], usage: Mapping[str, Any]) -> bool:
    """Whether a stream in Anthropic's form came to the event that tells the output.

    Its first event tells the prompt. If that was all that was read, LiteLLM logs a success that ended by "stop", and
    takes the output for what the first event said, or counts the text. Of Messages it notes whether the last event
    came; of the others the provider's own last count is not the logged one.
    """
    if kwargs.get("call_type") == "anthropic_messages":
        return kwargs.get("prompt_cache_response_complete") is not False
    told = getattr(kwargs.get("original_response"), "_cumulative_usage", None)
    return not isinstance(told, Mapping) or told.get("output_tokens") == usage.get("completion_tokens")


def _provider_request_id(log: Mapping[str, Any], response: Any) -> str | None:
    """The provider's own name for the call, as its bill and its support know it."""
    headers = mapping(mapping(log.get("hidden_params")).get("additional_headers"))
    for name in _ID_HEADERS:
        if headers.get(name):
            return str(headers[name])
    found = getattr(response, "id", None)
    return str(found) if found else None


def finish_reason(response: Any) -> str | None:
    """Why the answer ended, in OpenAI's words (chat) or the Responses API's (`max_output_tokens`, `completed`)."""
    choices = getattr(response, "choices", None)
    if choices:
        return getattr(choices[0], "finish_reason", None)
    incomplete = getattr(response, "incomplete_details", None)
    reason = getattr(incomplete, "reason", None) or mapping(incomplete).get("reason")
    return reason or getattr(response, "status", None)


def arrived_at(data: Mapping[str, Any], now: float) -> float:
    """When LiteLLM received the request (seconds since the epoch): before guardrails and hooks held it until now."""
    at = mapping(data.get("proxy_server_request")).get("arrival_time")
    return at if isinstance(at, float) and at < now else now


def output_of(response: Any) -> Output:
    """What an answer says, as LiteLLM logs it: a ``ModelResponse`` (its first choice) or a ``ResponsesAPIResponse``."""
    choices = _field(response, "choices")
    if choices:
        return _message_output(_field(choices[0], "message"))
    texts, calls = [], []
    for item in _list(_field(response, "output")):
        kind = _field(item, "type")
        if kind == "message":
            texts += [part for part in _list(_field(item, "content")) if _field(part, "type") == "output_text"]
        elif kind in _CALL_ITEMS:
            calls.append(_tool_call(item))
    return Output("".join(_text(_field(part, "text")) for part in texts), tuple(calls))


def _message_output(message: Any) -> Output:
    found = _list(_field(message, "tool_calls"))
    calls = [_tool_call(_field(call, "function") or _field(call, "custom")) for call in found]
    legacy = _field(message, "function_call")
    if legacy:
        calls.append(_tool_call(legacy))
    return Output(_text(_field(message, "content")), tuple(calls))


def _tool_call(call: Any) -> ToolCall:
    return ToolCall(_text(_field(call, "name")), _text(_field(call, "arguments") or _field(call, "input")))


def _field(thing: Any, name: str) -> Any:
    """LiteLLM logs objects, and dictionaries in their place where it has no class for them."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text_length(response: Any) -> int:
    """Characters of the answer, where it is text in OpenAI's shape: what an estimate can go by."""
    choices = getattr(response, "choices", None)
    content = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
    return len(content) if isinstance(content, str) else 0


def truncated(reason: str | None) -> bool:
    return reason in _TRUNCATED


def _int(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
