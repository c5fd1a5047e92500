"""What a benchmark asks and of whom, and what that can cost before it is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.needs import answer_limit
from fivelevers.metering.cost import Unknown, cost
from fivelevers.prices import Price, Usage
from fivelevers.request import Api, canonical_json

PATHS: Final = {Api.CHAT: "/v1/chat/completions", Api.MESSAGES: "/v1/messages", Api.RESPONSES: "/v1/responses"}
_SHORTEST = 20  # tokens of an answer, where nothing is known
_BYTES_PER_TOKEN = (5, 3)  # of a prompt: few tokens, many
_FRAME_TOKENS = 50  # what providers add around a prompt
_TOOLS_FRAME_TOKENS = 1_000  # and around tools, at most


@dataclass(frozen=True)
class Case:
    """One prompt, as it is asked. ``body``: without model and limit. ``line``: what the file says of it beside.

    ``answer_chars``: how long an answer was once, where that is known.
    """

    api: Api
    body: Mapping[str, Any]
    prompt: str
    route: str
    expected: str | None = None
    line: Mapping[str, Any] = field(default_factory=dict)
    answer_chars: int | None = None

    @cached_property
    def key(self) -> str:
        """32 hex digits: another request, or a line that says something else of it, is another case."""
        parts = (self.api.value, self.route, self.expected or "", self.line)
        return sha256(canonical_json([*parts, self.body])).hexdigest()[:32]

    @cached_property
    def bytes(self) -> int:
        return len(canonical_json(self.body))

    @property
    def limit(self) -> int | None:
        """The most tokens that its own request lets an answer have."""
        return answer_limit(self.api, self.body)

    @property
    def tools(self) -> bool:
        return bool(self.body.get("tools") or self.body.get("functions"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """``name``: of the model, as prices and deployments have it. ``alias``: what the proxy is asked for."""

    name: str
    alias: str
    price: Price

    def usd(self, usage: Usage, *, batch: bool = False) -> Decimal:
        """Raises CalibrationError where a price is unknown: no budget can be kept then."""
        found = cost(usage, self.price, batch=batch)
        if isinstance(found, Unknown):
            raise CalibrationError(str(found))
        return found

    def most_usd(self, prompt_bytes: int, answer_tokens: int, *, tools: bool = False) -> Decimal:
        """More than this a call with text alone can not cost: no tokenizer makes more of it than a token a byte."""
        tokens = prompt_bytes + _FRAME_TOKENS + (_TOOLS_FRAME_TOKENS if tools else 0)
        return self.usd(Usage(input=tokens, output=answer_tokens))


def range_usd(
    cases: Iterable[Case], candidates: Sequence[Candidate], max_tokens: int, *, batch: bool
) -> tuple[Decimal, Decimal]:
    """What asking all of them costs, from short prompts and answers to long ones. Raises CalibrationError."""
    low = high = Decimal(0)
    for case in cases:
        few, many = (case.bytes // size + _FRAME_TOKENS for size in _BYTES_PER_TOKEN)
        least, most = answer_tokens(case, case.limit or max_tokens)
        for candidate in candidates:
            low += candidate.usd(Usage(input=few, output=least), batch=batch)
            high += candidate.usd(Usage(input=many, output=most), batch=batch)
    return low, high


def answer_tokens(case: Case, limit: int) -> tuple[int, int]:
    """Half to twice of what was answered once; nothing known: a few words, or all that the limit lets be."""
    if case.answer_chars is None:
        return min(_SHORTEST, limit), limit
    tokens = case.answer_chars // 4 + 1
    return min(tokens // 2, limit), min(2 * tokens, limit)
