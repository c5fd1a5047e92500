"""Whether two cheap models, asked the same, say the same: then neither is likely to be wrong.

Said the same is: the same tool calls, the same JSON, the same text but for case, space and punctuation, or, where both
name a final answer, the same one. Whatever is merely alike is not: in doubt the strong model is asked.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from fivelevers.output import Output

_FINAL: Final = re.compile(r"(?:####|\\boxed\{|\b(?:answer|result)\b(?: is\b\s*[:=]?|\s*[:=]))\s*([^\n}]{1,200})", re.I)
_SUM: Final = re.compile(r"=\s*\$?(-?\d[\d,]{0,30}(?:\.\d{1,15})?)\s*\.?\s*\Z")
_BARE: Final = re.compile(r"[^\w.+-]+")
_READ_CHARS: Final = 20_000


def agree(one: Output, other: Output) -> bool:
    if one.tool_calls or other.tool_calls:
        return one.tool_calls != () and _calls(one) == _calls(other)
    said = _said(one.text)
    return (said != "" and said == _said(other.text)) or _concluded(one.text, other.text)


def _calls(output: Output) -> list[tuple[str, Any]]:
    return [(call.name, _json(call.arguments) or call.arguments) for call in output.tool_calls]


def _said(text: str) -> Any:
    """JSON by its value, anything else by its words."""
    value = _json(text)
    return value or _words(text)


def _json(text: str) -> tuple[Any] | None:
    """The value, wrapped since it may be anything; None where the text is no JSON."""
    try:
        return (orjson.loads(text),)
    except orjson.JSONDecodeError:
        return None


def _words(text: str) -> str:
    return _BARE.sub(" ", text.casefold()).strip(" .")


def _concluded(one: str, other: str) -> bool:
    first, second = _final(one), _final(other)
    return first != "" and first == second


def _final(text: str) -> str:
    """The last final answer that a text names; empty where it names none."""
    read = text[-_READ_CHARS:].rstrip()
    ends = _SUM.search(read)
    if ends:
        return ends.group(1).replace(",", "")
    named = _FINAL.findall(read)
    return _words(named[-1].replace(",", "")) if named else ""
