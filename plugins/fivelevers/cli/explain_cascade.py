"""What a cascade did with a request, in words: `weak`, `escalated:<why>`, `strong-only:<why>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ESCALATED: Final = {
    "incomplete": "was cut off, filtered or empty",
    "schema": "does not fit the request's schema or those of its tools",
    "validators": "failed a check of the route, or the check could not do its work",
    "agreement": "is not what the second weak model says",
    "scorer": "looks like answers that were wrong too often",
    "unverified": "is one that nothing had anything to say of",
    "timeout": "or the look at it took too long",
    "failed": "did not come: its call failed",
    "verifier": "could not be looked at; the proxy's log says how",
}
_ALONE: Final = {
    "shadow": "shadow changes nothing",
    "unverifiable": "nothing in its answer could be looked at",
    "choices": "the request wants several answers",
    "unpriced": "a price is unknown",
    "too-dear": "its answer and the look cost too much of what the strong model does",
}


def why(reason: str, others: Mapping[str, str]) -> str | None:
    """None of a reason that is no cascade's. ``others``: the words that routing has for the same."""
    kind, _, word = reason.partition(":")
    if kind == "weak":
        return "its answer was looked at, and taken"
    if kind == "escalated":
        return f"the weak model's answer {_ESCALATED.get(word, word)}"
    if kind == "strong-only":
        return f"the weak model was not asked: {_ALONE.get(word) or others.get(word, word)}"
    return None
