"""Two answers to one request are the same but for what differs from call to call: names, times and wording."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx

# What differs from call to call in any answer or request: names of things, and where they ran.
_FRESH = re.compile(
    r"127\.0\.0\.1:\d+"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|(?:chatcmpl-|msg_|resp_|req_|call_|toolu_)[A-Za-z0-9_=-]{16,}"
)
# An answer's words vary, and so whether it is long enough to be compressed.
_BY_LENGTH = {"content-encoding", "content-length", "transfer-encoding", "vary"}
# Ours; and the parts of the cost, since it is chance whether a provider's cache is warm when many ask at once.
_BY_CHANCE = ("x-fivelevers-", "x-litellm-response-cost-")


def blanked(text: str) -> str:
    return _FRESH.sub("...", text)


def told(answer: httpx.Response) -> dict[str, Any]:
    """What must be equal: a refusal to the letter; of an answer, whose words vary, all but values."""
    names = sorted(n for n in answer.headers if not n.startswith(_BY_CHANCE) and n not in _BY_LENGTH)
    about = {"status": answer.status_code, "type": answer.headers.get("content-type"), "headers": names}
    if answer.status_code >= 400:
        return {**about, "body": blanked(answer.text)}
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return {**about, "events": sorted({json.dumps(shape(event)) for event in events(answer)})}
    return {**about, "body": shape(answer.json()) if answer.content else None}


def events(answer: httpx.Response) -> Iterator[Any]:
    """The JSON events of a stream."""
    for line in answer.text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def shape(value: Any) -> Any:
    """Keys and types, without values; of a list its different shapes."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each)) for each in value})
    return type(value).__name__
