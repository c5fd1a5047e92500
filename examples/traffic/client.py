"""One tenant's calls with the providers' own SDKs: what goes in is a traffic body, what comes out is the answer's text.

A pipeline that can wait says so in a header and in its SDK's own time-out, and is written as any other client.

A stream is read to its end. The text of a tool call is its arguments, since a forced call carries the answer there.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from examples.traffic.workload import Request

TIMEOUT_S = 120.0
PATIENCE_S = 4 * 3600.0
RETRIES = 2
SESSION_HEADER = "x-fivelevers-session"
REQUEST_HEADER = "x-fivelevers-request"
DEADLINE_HEADER = "x-fivelevers-deadline"


class StreamCutError(Exception):
    """A stream ended before its model had finished."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`request_id` is what an outcome refers to; None when whoever answered gave none."""

    text: str
    request_id: str | None


class Caller:
    """The SDK clients of one key. `base_url` is the proxy's address without /v1; ``patient`` workloads can wait."""

    def __init__(self, base_url: str, key: str, patient: Collection[str] = ()) -> None:
        self._patient = patient
        self._openai = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=RETRIES, timeout=TIMEOUT_S)
        self._anthropic = AsyncAnthropic(base_url=base_url, api_key=key, max_retries=RETRIES, timeout=TIMEOUT_S)

    async def send(self, request: Request) -> Reply:
        """The answer to a request. Raises what the SDK raises, and StreamCutError."""
        headers, timeout_s = {SESSION_HEADER: request.session}, TIMEOUT_S
        if request.workload in self._patient:
            headers[DEADLINE_HEADER], timeout_s = f"{PATIENCE_S:.0f}", PATIENCE_S
        raw = await self._resource(request.api).with_raw_response.create(
            **request.body, extra_headers=headers, timeout=timeout_s
        )
        answer = raw.parse()
        if isawaitable(answer):  # Anthropic's SDK parses asynchronously, OpenAI's does not
            answer = await answer
        if request.body.get("stream"):
            text = await _STREAMS[request.api](answer)
        else:
            text = _WHOLE[request.api](answer)
        return Reply(text, raw.headers.get(REQUEST_HEADER))

    def _resource(self, api: str) -> Any:
        resources = {
            "chat": self._openai.chat.completions,
            "responses": self._openai.responses,
            "embeddings": self._openai.embeddings,
            "messages": self._anthropic.messages,
        }
        return resources[api]

    async def close(self) -> None:
        await self._openai.close()
        await self._anthropic.close()


def _chat(answer: Any) -> str:
    message = answer.choices[0].message
    return message.content or "".join(call.function.arguments for call in message.tool_calls or ())


def _responses(answer: Any) -> str:
    calls = "".join(item.arguments for item in answer.output if item.type == "function_call")
    return answer.output_text or calls


def _messages(answer: Any) -> str:
    calls = "".join(json.dumps(block.input) for block in answer.content if block.type == "tool_use")
    return "".join(block.text for block in answer.content if block.type == "text") or calls


def _embeddings(answer: Any) -> str:
    return f"{len(answer.data)} vectors of {len(answer.data[0].embedding)}"


async def _chat_stream(chunks: AsyncIterator[Any]) -> str:
    text, calls, finished = "", "", False
    async for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            calls += "".join(call.function.arguments or "" for call in choice.delta.tool_calls or ())
            finished = finished or choice.finish_reason is not None
    return _whole(text or calls, finished=finished)


async def _responses_stream(events: AsyncIterator[Any]) -> str:
    text, calls, finished = "", "", False
    async for event in events:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.function_call_arguments.delta":
            calls += event.delta
        finished = finished or event.type in {"response.completed", "response.incomplete"}
    return _whole(text or calls, finished=finished)


async def _messages_stream(events: AsyncIterator[Any]) -> str:
    text, calls, finished = "", "", False
    async for event in events:
        if event.type == "content_block_delta":
            text += getattr(event.delta, "text", "")
            calls += getattr(event.delta, "partial_json", "")
        finished = finished or event.type == "message_stop"
    return _whole(text or calls, finished=finished)


def _whole(text: str, *, finished: bool) -> str:
    if not finished:
        raise StreamCutError(f"the stream ended after {len(text)} characters without saying why")
    return text


_WHOLE: dict[str, Callable[[Any], str]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "embeddings": _embeddings,
}
_STREAMS: dict[str, Callable[[AsyncIterator[Any]], Awaitable[str]]] = {
    "chat": _chat_stream,
    "responses": _responses_stream,
    "messages": _messages_stream,
}
