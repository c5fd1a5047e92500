"""What became of a call: an answer, the model's own failure, or nothing that says anything of the model.

A model fails where its answer is cut off by the request's own limit or filtered, or where it refuses the prompt as too
long or not allowed. Everything else that is no answer is the way's fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from fivelevers.audit.calls import LeftOutError
from fivelevers.audit.fields import usage
from fivelevers.batched import finish_reason, output_of
from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.chances import Chances, chances_in
from fivelevers.metering.cost import Unknown, cost
from fivelevers.output import Output, ToolCall
from fivelevers.prices import Usage
from fivelevers.route_benchmark.budget import ZERO
from fivelevers.route_benchmark.cases import Candidate

LANE_HEADER: Final = "x-fivelevers-lane"
_STOP: Final = frozenset({401, 403, 404})
_OF_THE_MODEL: Final = re.compile(
    r"ContextWindowExceeded|context_length_exceeded|ContentPolicyViolation|content_filter|prompt is too long", re.I
)
_CUT: Final = frozenset({"length", "max_tokens", "max_output_tokens"})
_FILTERED: Final = frozenset({"content_filter", "refusal"})


NOTHING: Final = Output("")


class Ended(StrEnum):
    ANSWERED = "answered"
    FAILED = "failed"  # the model's own failure: a label
    CUT = "cut"  # at a limit that the benchmark wrote: no label
    LEFT_OUT = "left-out"  # no label


@dataclass(frozen=True, slots=True)
class Reply:
    """``tokens``: of prompt and answer. ``why``: it is no answer. ``lane``: it came by the batch lane. ``chances``: of
    the answer's tokens, where it told them."""

    ended: Ended
    output: Output = NOTHING
    tokens: tuple[int, int] = (0, 0)
    usd: Decimal = ZERO
    why: str = ""
    lane: bool = False
    chances: Chances | None = None

    def record(self) -> dict[str, Any]:
        calls = [(call.name, call.arguments) for call in self.output.tool_calls]
        told = {"ended": self.ended.value, "text": self.output.text, "tokens": self.tokens, "lane": self.lane}
        more = {"tool_calls": calls, "why": self.why, "chances": self.chances}
        return told | {name: value for name, value in more.items() if value}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Reply:
        calls = tuple(ToolCall(*call) for call in record.get("tool_calls", ()))
        read_tokens, written_tokens = record["tokens"]
        output, usd = Output(record["text"], calls), Decimal(record["usd"])
        ended, why = Ended(record["ended"]), record.get("why", "")
        chances = Chances(*record["chances"]) if "chances" in record else None
        return cls(ended, output, (read_tokens, written_tokens), usd, why, record["lane"], chances)


@dataclass(frozen=True, slots=True)
class Heard:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


def reply_of(heard: Heard, candidate: Candidate, *, own_limit: bool, most_usd: Decimal) -> Reply:
    """``own_limit``: the request bounds its answer itself. Raises CalibrationError where all that follow fail too."""
    lane = heard.headers.get(LANE_HEADER, "") == "batch"
    if heard.status >= 400:
        return _refused(heard, candidate, lane=lane)
    used = _usage(heard.body)
    if used is None:
        return Reply(Ended.LEFT_OUT, usd=most_usd, why="an answer without token counts", lane=lane)
    ended, why = _ended(finish_reason(heard.body), own_limit=own_limit)
    usd = _usd(candidate, used, lane=lane)
    choices = heard.body.get("choices")
    chances = chances_in(choices[0]) if isinstance(choices, list) and choices else None
    return Reply(ended, output_of(heard.body), (used.prompt, used.output), usd, why, lane, chances)


def _ended(reason: str | None, *, own_limit: bool) -> tuple[Ended, str]:
    if reason in _CUT:
        return (Ended.FAILED, "cut off at its own limit") if own_limit else (Ended.CUT, "cut off at --max-tokens")
    return (Ended.FAILED, "filtered") if reason in _FILTERED else (Ended.ANSWERED, "")


def _refused(heard: Heard, candidate: Candidate, *, lane: bool) -> Reply:
    error = heard.body.get("error")
    said = str(error.get("message") if isinstance(error, Mapping) else error or heard.body.get("detail") or "")[:300]
    if heard.status in _STOP or "budget has been exceeded" in said.lower():
        raise CalibrationError(f"{candidate.alias}: the proxy refuses with {heard.status}: {said}")
    if heard.status < 500 and _OF_THE_MODEL.search(f"{error} {said}"):
        return Reply(Ended.FAILED, why="refused by the model", lane=lane)
    return Reply(Ended.LEFT_OUT, why=f"HTTP {heard.status}: {said}", lane=lane)


def _usd(candidate: Candidate, used: Usage, *, lane: bool) -> Decimal:
    """Where a price of batches or of a cache is not known, at what is dearer: the plain live price."""
    found = cost(used, candidate.price, batch=lane)
    plain = Usage(input=used.prompt, output=used.output)
    return candidate.usd(plain) if isinstance(found, Unknown) else found


def _usage(body: Mapping[str, Any]) -> Usage | None:
    counted = body.get("usage")
    try:
        return usage(counted) if isinstance(counted, Mapping) else None
    except LeftOutError:
        return None
