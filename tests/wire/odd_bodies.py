"""Requests that a proxy gets and nobody documents: broken, odd, huge, or merely unusual. Data for test_bad_input.py."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

QUESTION = "What is 17 * 23 + 4?"
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
}
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
        "e221bc330000000049454e44ae426082"
    )
).decode()
_USER = {"role": "user", "content": QUESTION}
_GOOD: dict[str, dict[str, Any]] = {
    "chat": {"model": "support-assistant", "messages": [_USER]},
    "messages": {"model": "coding-agent", "max_tokens": 200, "messages": [_USER]},
    "responses": {"model": "support-assistant", "input": QUESTION},
    "embeddings": {"model": "ticket-embeddings", "input": "a late parcel"},
}
_PROMPT_FIELD = {"chat": "messages", "messages": "messages", "responses": "input", "embeddings": "input"}


_FIELDS: dict[str, list[Any]] = {
    "stream": ["yes", 1, None, {}],
    "tools": ["hammer", [None], ["a"], [{}], {"type": "function"}, []],
    "tool_choice": [7, "maybe", {"type": "function"}],
    "temperature": ["hot", 99],
    "max_tokens": ["many", -1],
    "litellm_session_id": [7, {"a": 1}],
    "proxy_server_request": ["text", {"body": "text", "headers": 7}],
    "flavour_of_the_day": ["unknown field"],
}
_FIELDS_OF: dict[str, dict[str, list[Any]]] = {
    "chat": {
        "stream_options": ["x", {"include_usage": "no"}],
        "response_format": ["json", {"type": "json_schema", "json_schema": 7}],
        "system": [7, [None]],
    },
    "messages": {
        "system": [7, [None], ["a"], [{"type": "text"}], {"type": "text", "text": "a"}],
        "cache_control": ["ephemeral", {"type": "ephemeral", "ttl": 7}],
        "thinking": ["a lot"],
    },
    "responses": {
        "instructions": [7, ["a"], {"a": 1}],
        "conversation": [{"id": 7}, [1]],
        "prompt_cache_key": [7, {"id": "a"}],
        "previous_response_id": ["resp_of_nobody", 7],
        "text": ["plain"],
    },
}


@dataclass(frozen=True)
class Odd:
    """One request; ``body`` as bytes, since half of these are not JSON."""

    name: str
    api: str
    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)


def every_odd_request() -> list[Odd]:
    return [odd for api in PATHS for odd in (*_broken(api), *_typed(api), *_transport(api), *_prompts(api))]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _odd(api: str, name: str, body: bytes | dict[str, Any], **rest: Any) -> Odd:
    return Odd(f"{api}: {name}", api, PATHS[api], body if isinstance(body, bytes) else _json(body), **rest)


def _broken(api: str) -> Iterator[Odd]:
    """Bodies that are no JSON, or JSON that no object model holds."""
    good = _json(_GOOD[api])
    start = good[:-1]  # without the closing brace
    texts = {
        "cut off": good[: len(good) // 2],
        "empty": b"",
        "blank": b" \n",
        "list": b"[" + good + b"]",
        "string": b'"hello"',
        "number": b"42",
        "null": b"null",
        "two objects": good + good,
        "single quotes": good.replace(b'"', b"'"),
        "byte order mark": b"\xef\xbb\xbf" + good,
        "not UTF-8": start + b', "user": "\xff\xfe\xfa"}',
        "UTF-16": good.decode().encode("utf-16"),
        "null byte in the text": start + b', "user": "a\\u0000b"}',
        "raw null byte": start + b', "user": "a\x00b"}',
        "lone surrogate": start + b', "user": "\\ud800"}',
        "lone surrogate as a key": start + b', "\\udfff": 1}',
        "NaN": start + b', "temperature": NaN}',
        "Infinity": start + b', "temperature": -Infinity}',
        "1e999": start + b', "temperature": 1e999}',
        "400 digits": start + b', "seed": 1' + b"0" * 400 + b"}",
        "5000 digits": start + b', "seed": 1' + b"0" * 5000 + b"}",
        "key twice": start + b', "model": "no-such-model"}',
        "200 deep": start + b', "metadata": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        # LiteLLM's parser takes 1,024 levels; Python's stack, and most JSON writers, end before.
        "1,000 deep": start + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        "1,000 deep tools": start + b', "tools": ' + b"[" * 1000 + b"{}" + b"]" * 1000 + b"}",
        "1,000 deep prompt": start + b', "system": ' + b'[{"content":' * 500 + b'"a"' + b"}]" * 500 + b"}",
        "100,000 deep": start + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    }
    for name, body in texts.items():
        yield _odd(api, name, body)


def _typed(api: str) -> Iterator[Odd]:
    """JSON objects with the wrong thing in one field."""
    good, prompt = _GOOD[api], _PROMPT_FIELD[api]
    item: dict[str, Any] = {"role": "user", "content": QUESTION}
    values: dict[str, list[Any]] = {
        "model": [None, 7, ["support-assistant"], {"a": 1}, "", "no-such-model", "support-*", "a\u0000b"],
        prompt: [None, "", "text", 7, {}, [], [1, 2], [None], [[item]], ["a", "b"], [{}], [item, item]],
        "metadata": ["text", ["a"], 7, None, {"tags": "one"}, {"session_id": {"a": [1]}}, {"tags": [{"a": 1}, 2]}],
        "litellm_metadata": ["text", {"tags": "one"}],
        "tags": ["one", [1, {"a": 2}]],
        "user": [{"name": "x"}, 7],
        **(_FIELDS if api != "embeddings" else {}),
        **_FIELDS_OF.get(api, {}),
    }
    for name, each in values.items():
        for value in each:
            yield _odd(api, f"{name} = {json.dumps(value)[:50]}", {**good, name: value})
    yield _odd(api, "no model", {key: value for key, value in good.items() if key != "model"})
    yield _odd(api, "no prompt", {key: value for key, value in good.items() if key != prompt})
    yield _odd(api, "empty object", {})
    if api in {"chat", "messages"}:
        yield _odd(api, "10 MB of text", {**good, prompt: [{**item, "content": "All work and no play. " * 480_000}]})
    yield _odd(api, "5,000 unknown fields", {**good, **{f"field_{n}": n for n in range(5000)}})


def _transport(api: str) -> Iterator[Odd]:
    """A good body, brought in an odd way."""
    good = _json(_GOOD[api])
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", ""):
        yield _odd(api, f"content type {kind or 'none'}", good, headers={"content-type": kind})
    yield _odd(api, "says gzip, is not", good, headers={"content-encoding": "gzip"})
    for method in ("GET", "PUT", "DELETE"):
        yield _odd(api, method, b"" if method == "GET" else good, method=method)
    odd_headers = {
        "x-fivelevers-session": "\u00e9\u00fc" * 50,
        "x-litellm-tags": ",,;=",
        "x-litellm-session-id": "s" * 5000,
        "x-litellm-call-id": "../../etc/passwd",
        "traceparent": "not-a-trace",
        "x-litellm-timeout": "soon",
        "x-fivelevers-request": "0" * 32,
    }
    for name, value in odd_headers.items():
        yield _odd(api, f"{name}: {value[:20]}", good, headers={name: value})


def _prompts(api: str) -> Iterator[Odd]:
    """What belongs into a prompt, rightly or not: pictures, sound, tools, roles."""
    for name, message in _MESSAGES.get(api, {}).items():
        conversation = message if isinstance(message, list) else [message]
        for stream in (False,) if name in _ODD_ROLES else (False, True):
            body = {**_GOOD[api], _PROMPT_FIELD[api]: conversation, "stream": stream}
            yield _odd(api, f"{name}, streamed" if stream else name, body)


_PICTURE_URL = f"data:image/png;base64,{PNG}"
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{not json"}}
_ODD_ROLES: dict[str, Any] = {
    "no role": {"content": QUESTION},
    "role is a number": {"role": 7, "content": QUESTION},
    "role of nobody": {"role": "wizard", "content": QUESTION},
    "no content": {"role": "user"},
    "content null": {"role": "user", "content": None},
    "content empty": {"role": "user", "content": ""},
    "content number": {"role": "user", "content": 7},
    "content object": {"role": "user", "content": {"text": QUESTION}},
    "content list of nothing": {"role": "user", "content": []},
    "content list of null": {"role": "user", "content": [None]},
    "content list of texts": {"role": "user", "content": [QUESTION]},
    "content block without type": {"role": "user", "content": [{"text": QUESTION}]},
    "content block of odd type": {"role": "user", "content": [{"type": 5}]},
    "cache mark of odd shape": {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": 7}]},
    "assistant only": {"role": "assistant", "content": "Hello."},
    "assistant last": [_USER, {"role": "assistant", "content": "The answer is"}],
}
_MESSAGES: dict[str, dict[str, Any]] = {
    "chat": {
        **_ODD_ROLES,
        "picture": {
            "role": "user",
            "content": [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": _PICTURE_URL}}],
        },
        "picture url is a number": {"role": "user", "content": [{"type": "image_url", "image_url": 7}]},
        "sound": {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
        },
        "file": {
            "role": "user",
            "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}],
        },
        "tool result without call": [_USER, {"role": "tool", "tool_call_id": "call_x", "content": "5"}],
        "tool result without id": [_USER, {"role": "tool", "content": "5"}],
        "tool call with broken arguments": [_USER, {"role": "assistant", "content": None, "tool_calls": [_CALL]}],
        "tool calls of odd shape": [_USER, {"role": "assistant", "tool_calls": "look"}],
    },
    "messages": {
        **_ODD_ROLES,
        "picture": {
            "role": "user",
            "content": [
                {"type": "text", "text": QUESTION},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            ],
        },
        "picture without source": {"role": "user", "content": [{"type": "image"}]},
        "document": {
            "role": "user",
            "content": [
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A text."}},
                {"type": "text", "text": QUESTION},
            ],
        },
        "tool result without call": {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_x", "content": "5"}],
        },
        "system as a message": [{"role": "system", "content": "Be brief."}, _USER],
    },
    "responses": {
        **_ODD_ROLES,
        "picture": {
            "role": "user",
            "content": [
                {"type": "input_text", "text": QUESTION},
                {"type": "input_image", "image_url": _PICTURE_URL},
            ],
        },
        "sound": {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
        },
        "file": {"role": "user", "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,JVBE"}]},
        "tool result without call": {"type": "function_call_output", "call_id": "call_x", "output": "5"},
        "item of odd type": {"type": "dream", "content": QUESTION},
        "reference to nothing": {"type": "item_reference", "id": "msg_of_nobody"},
    },
}
