"""A callback that plants an answer, without look-up or store, and writes down what LiteLLM does with such a request.

Headers of a request: `x-test-case` names it in the file that PLANTING_LOG names (one JSON line for each of its hooks),
`x-test-plant` is the answer to give it (as JSON), `x-test-broken` breaks that answer, `x-test-mask` is a word that an
output guardrail masks, `x-test-asks` is a question that another guardrail asks a model of its own, `x-test-unplanned`
leaves the request without a plan, as a fault of the plugin's first hook does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from fivelevers.answer import StoredAnswer
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.answer_cache import FREE, Hit, ask, install
from fivelevers.proxies.litellm.answer_capture import answer_of_log
from fivelevers.proxies.litellm.flight import current, current_hit
from fivelevers.proxies.litellm.reading import answer_of, mapping
from fivelevers.request import Api

USAGE = Usage(input=40, cache_read=1024, cache_write_5m=12, output=17)
APIS = {"acompletion": Api.CHAT, "anthropic_messages": Api.MESSAGES, "aresponses": Api.RESPONSES}
LOGGED = ("call_type", "stream", "cache_hit", "response_cost", "prompt_tokens", "completion_tokens", "model_group")
NOBODY: Mapping[str, str] = MappingProxyType({})
_hit: ContextVar[Hit | None] = ContextVar("planted", default=None)
_headers: ContextVar[Mapping[str, str]] = ContextVar("planted_for", default=NOBODY)


def planted(api: Api, call_id: str, headers: Mapping[str, str]) -> Hit | None:
    if "x-test-plant" not in headers:
        return None
    text = json.loads(headers["x-test-plant"])  # a header holds neither line ends nor emoji
    answer = StoredAnswer(text, "planted-model", "openai", None, USAGE, created_at=1.0, expires_at=2.0)
    broken: Any = None
    return Hit(api, call_id, broken if "x-test-broken" in headers else answer, "planted-answer")


def note(hook: str, **said: Any) -> None:
    case = _headers.get().get("x-test-case")
    if case is None:
        return
    with Path(os.environ["PLANTING_LOG"]).open("a") as log:
        log.write(json.dumps({"case": case, "hook": hook, **said}) + "\n")


class Planter(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        _headers.set(data["proxy_server_request"]["headers"])
        api = APIS.get(call_type)
        if "x-test-unplanned" in _headers.get():
            current.set(None)
        hit = planted(api, data["litellm_call_id"], _headers.get()) if api else None
        _hit.set(hit)
        flight = current.get()  # the plugin's own hook was before this one
        if hit is not None and flight is not None and install(current_hit) is None:
            flight.hit = hit
            ask(data)
        note("pre_call")

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        note("filter_deployments")
        return healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        note("pre_call_deployment", call_type=str(getattr(call_type, "value", call_type)))

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        note("failure_deployment", error=type(exception).__name__)

    async def async_moderation_hook(self, data: dict[str, Any], user_api_key_dict: Any, call_type: Any) -> None:
        question = _headers.get().get("x-test-asks")
        if question:
            router = sys.modules["litellm.proxy.proxy_server"].llm_router
            messages = [{"role": "user", "content": question}]
            answer = await router.acompletion(model=data["model"], messages=messages, metadata={}, caching=True)
            note("asked", answer=answer.choices[0].message.content)

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> Any:
        note("post_call_success")
        mask(response, _headers.get().get("x-test-mask"))
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncIterator[Any]:
        note("streaming_iterator")
        word = _headers.get().get("x-test-mask")
        async for chunk in response:
            if word and isinstance(chunk, bytes):
                yield chunk.replace(word.encode(), b"*" * len(word))
            else:
                mask(chunk, word)
                yield chunk

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        note("response_headers")
        return dict(FREE) if _hit.get() else None

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        log = mapping(kwargs.get("standard_logging_object"))
        attempt = answer_of(kwargs, response_obj, None, start_time.timestamp(), end_time.timestamp())
        stored = answer_of_log(kwargs, response_obj, attempt, expires_at=9e9)
        taken = {"text": stored.text} if isinstance(stored, StoredAnswer) else {"why": stored}
        key = mapping(log.get("metadata")).get("user_api_key_hash")
        note("log_success", key=key, **{name: log.get(name) for name in LOGGED}, **taken)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: datetime, end_time: datetime
    ) -> None:
        note("log_failure")


def mask(answer: Any, word: str | None) -> None:
    """In any of LiteLLM's shapes, whole or a piece of a stream."""
    for part, name in texts(answer) if word else ():
        text = part[name] if isinstance(part, dict) else getattr(part, name)
        if word and isinstance(text, str):
            said = text.replace(word, "*" * len(word))
            part.__setitem__(name, said) if isinstance(part, dict) else setattr(part, name, said)


def texts(answer: Any) -> Iterator[tuple[Any, str]]:
    if isinstance(answer, dict):
        yield from ((block, "text") for block in answer["content"])
    for choice in getattr(answer, "choices", None) or ():
        yield (choice.message if hasattr(choice, "message") else choice.delta), "content"
    yield from ((answer, name) for name in ("delta", "text") if hasattr(answer, name))
    whole = getattr(answer, "response", answer)
    for item in [*(getattr(whole, "output", None) or ()), getattr(answer, "item", None)]:
        contents = item.get("content") if isinstance(item, dict) else getattr(item, "content", None)
        yield from ((part, "text") for part in contents or ())
    if getattr(answer, "part", None) is not None:
        yield answer.part, "text"


planter = Planter()
