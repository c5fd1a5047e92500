"""Long texts stand once in the tree. A body refers to them, and the loader puts them in.

- `{"$text": "support/system"}` becomes the text of texts/support/system.md, and a list of names their texts in a row;
- `{"$json": "coding/tools"}` becomes the content of texts/coding/tools.json;
- `{"$turns": "kiosk-stale-list", "first": 5}` becomes the first five messages of that file in transcripts/; with
  `"mark_last": true` the last block of the last one carries `cache_control`, as agents send it.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from examples.traffic.problems import TrafficError

HERE = Path(__file__).parent


def expand(value: Any) -> Any:
    """The value with every reference replaced by what it refers to."""
    if isinstance(value, list):
        return [expand(item) for item in value]
    if not isinstance(value, dict):
        return value
    for mark, resolve in _RESOLVERS.items():
        if mark in value:
            return resolve(value)
    return {key: expand(item) for key, item in value.items()}


def _text(reference: dict[str, Any]) -> str:
    names = reference["$text"]
    return "\n".join(_read(f"texts/{name}.md") for name in ([names] if isinstance(names, str) else names))


def _json(reference: dict[str, Any]) -> Any:
    return json.loads(_read(f"texts/{reference['$json']}.json"))


def _turns(reference: dict[str, Any]) -> list[Any]:
    lines = _read(f"transcripts/{reference['$turns']}.jsonl").splitlines()
    first = reference.get("first", 0)
    if not 0 < first <= len(lines):
        raise TrafficError(f"first: {first} is not in 1..{len(lines)}, the messages of {reference['$turns']}")
    messages = [expand(json.loads(line)) for line in lines[:first]]
    if reference.get("mark_last"):
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return messages


@lru_cache(maxsize=256)
def _read(path: str) -> str:
    try:
        return (HERE / path).read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError:
        raise TrafficError(f"reference: there is no {path} in {HERE.name}/; write it or correct the name") from None


_RESOLVERS: dict[str, Callable[[dict[str, Any]], Any]] = {"$text": _text, "$json": _json, "$turns": _turns}
