"""What lever 2 goes by in a logged call: what was asked, whether it may be answered again, and what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fivelevers.audit.answers import Said
from fivelevers.levers.semantic_cache.cacheable import uncacheable
from fivelevers.levers.semantic_cache.judging import normalised
from fivelevers.levers.semantic_cache.question import TURNS, Question, question_of
from fivelevers.levers.semantic_cache.wish import wish_of
from fivelevers.request import Api, Request

_UNKNOWN_SAID = Said(whole=True)
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """``digest``: hex, of everything that shapes the answer but the model. ``may_be``: answered from the store, as far
    as the log tells. ``sampled``: temperature above 0, or not said; None: not in the log. ``ended``: when it was
    answered, seconds since the epoch; None: not in the log. ``stored``: the answer may be given again. ``said``: digest
    of the answer without its looks. ``question``: where the prompt is in the log.
    """

    digest: str
    may_be: bool
    sampled: bool | None = None
    ended: float | None = None
    stored: bool = True
    said: bytes | None = None
    question: Question | None = None


def asked_of(
    request: Request | None,
    body: Mapping[str, Any],
    said: Said | None,
    ended: float | None,
    digest: str | None = None,
) -> Asked | None:
    """None where the prompt is not in the log. ``digest``: as it was when it was sent, where that is known."""
    if request is None:
        return None
    said, wish = said or _UNKNOWN_SAID, wish_of(body.get("cache"), None)
    temperature = body.get("temperature")
    return Asked(
        digest=digest or request.digest.hex(),
        may_be=wish.read and uncacheable(request.api, body) is None,
        sampled=not isinstance(temperature, int | float) or temperature > 0,
        ended=ended,
        stored=said.whole and wish.write,
        said=None if said.text is None else _digest(normalised(said.text)),
        question=question_of(request.api, body),
    )


def asked_without_prompt(api: Api, digest: str, ended: float, *, whole: bool) -> Asked:
    """Our ledger knows what was the same even where it does not keep what it was."""
    return Asked(digest, may_be=api in TURNS, ended=ended, stored=whole)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]
