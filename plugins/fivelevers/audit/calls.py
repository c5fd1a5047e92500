"""What an audit goes by: the calls of somebody's log, and an account of every row that gave none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from fivelevers.audit.asked import Asked
from fivelevers.audit.blocks import block_of, drawn
from fivelevers.audit.lines import OWN_SERVERS
from fivelevers.audit.manner import NOTHING_TOLD, Manner
from fivelevers.levers.prompt_cache.opening import Opening
from fivelevers.policy import Caller
from fivelevers.prices import PriceBook, Usage
from fivelevers.request import Request


class Reason(StrEnum):
    """Why a row is no call of the audit."""

    NOT_JSON = "no JSON"
    NOT_CSV = "no CSV"
    RAGGED = "a CSV row with more fields than the header"
    NO_PARQUET = "Parquet that is damaged, or breaks off"
    NO_TEXT = "neither text nor anything else that is read"
    TOO_DEEP = "nested too deeply"
    NO_OBJECT = "JSON, but no object"
    TOO_LONG = "longer than 64 MB"
    CUT_OFF = "the file breaks off there"
    UNKNOWN = "no known format"
    NO_TIME = "no time that can be read"
    NO_MODEL = "no model"
    NO_TOKENS = "no token counts"
    BAD_TOKENS = "token counts that can not be right"
    NO_CALL = "no model call"
    LABEL = "a label, taken to the call that it names"
    SUMS = "sums of a bill or of its usage, no calls"
    FAILED = "a call that failed"
    SERVED = "answered from a cache of the proxy, so no provider was paid"
    ESTIMATED = "token counts that no provider reported"
    BATCHED = "sent in a batch already, at its price"


DAMAGE = frozenset(Reason) - {
    Reason.NO_CALL,
    Reason.LABEL,
    Reason.SUMS,
    Reason.FAILED,
    Reason.SERVED,
    Reason.ESTIMATED,
    Reason.BATCHED,
}
"""Rows that could not be read; the others were understood and are no call that a lever could change."""


LABELS_AT_MOST = 1_000_000  # some 150 MB


class Text(StrEnum):
    """Whether the log holds the prompt of a call."""

    WHOLE = "whole"
    ABSENT = "absent"
    TRUNCATED = "truncated"  # LiteLLM's spend logs cut each text after 2,048 characters unless told otherwise
    REDACTED = "redacted"
    PARTIAL = "partial"  # far more tokens than its characters can be: images, or a system prompt that was not logged
    SEALED = "encrypted with a key that is not here"


@dataclass(slots=True)  # not frozen: a log has millions, and a frozen one of so many fields takes eight times as long
class LoggedCall:
    """One call that a provider answered. ``at``: when it was sent, seconds since the epoch.

    Nobody changes it once it has its provider.

    ``route`` is None where the log does not know it. ``logged_usd``: what the log says that the call cost. ``request``
    and ``opening`` are None where ``text`` is not WHOLE; ``asked`` where the log does not tell what was asked.
    ``good``: whether the answer did its job; None where the log does not say. ``id``: by which labels elsewhere in the
    log name the call.
    """

    place: str
    at: float
    model: str
    provider: str | None
    deployment: str | None
    alias: str
    caller: Caller
    route: str | None
    usage: Usage
    logged_usd: Decimal | None
    text: Text
    request: Request | None = None
    opening: Opening | None = None
    asked: Asked | None = None
    manner: Manner = NOTHING_TOLD
    good: bool | None = None
    cut_off: bool | None = None
    session: str | None = None
    id: str | None = None


_SPELLED: Final = {
    "azure_openai": "azure",
    "azureopenai": "azure",
    "google": "gemini",
    "google_ai_studio": "gemini",
    "googleai": "gemini",
    "vertex": "vertex_ai",
    "vertexai": "vertex_ai",
    "google_vertex_ai": "vertex_ai",
    "aws": "bedrock",
    "aws_bedrock": "bedrock",
    "amazon_bedrock": "bedrock",
    "mistralai": "mistral",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
}
"""Providers as people and other tools write them, in lower case, and as LiteLLM does."""


def with_provider(call: LoggedCall, prices: PriceBook) -> LoggedCall:
    """The call, with its provider as LiteLLM writes it; with the one that the price map knows for its model where the
    log names none, or one of whom the map knows nothing."""
    if call.provider is None or (call.provider and call.provider not in prices.providers):
        call.provider = _provider(call.provider or "", call.model, prices)
    return call


def _provider(named: str, model: str, prices: PriceBook) -> str:
    if named:
        written = re.sub(r"[\s-]+", "_", named.strip().lower())
        written = _SPELLED.get(written, written)
        if written in prices.providers or written in OWN_SERVERS:
            return written
    return str(prices.row(model).get("litellm_provider", "")) or named


@dataclass(slots=True)
class Left:
    """Rows left out for one reason, and where the first of them stands."""

    rows: int
    first: str


@dataclass(slots=True)
class Account:
    """What became of every row that was read; its calls were sent from ``first`` to ``last``, seconds since the epoch.

    ``share``: of the blocks of time that calls came in, those whose calls are looked at; so many calls are ``drawn``.
    ``labels``: what rows of their own say of calls, by these calls' ids. ``bills``: files with sums of a bill.
    """

    share: float = 1.0
    rows: int = 0
    calls: int = 0
    drawn: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    blocks: set[int] = field(default_factory=set)
    left: dict[Reason, Left] = field(default_factory=dict)
    texts: dict[Text, int] = field(default_factory=dict)
    labels: dict[str, bool] = field(default_factory=dict)
    bills: set[str] = field(default_factory=set)

    def leave(self, reason: Reason, place: str, rows: int = 1) -> None:
        known = self.left.setdefault(reason, Left(0, place))
        known.rows += rows

    def take(self, call: LoggedCall) -> bool:
        """Whether it is to be looked at."""
        block = block_of(call.at)
        self.calls += 1
        self.first, self.last = min(self.first, call.at), max(self.last, call.at)
        self.blocks.add(block)
        if not drawn(block, self.share):
            return False
        self.drawn += 1
        self.texts[call.text] = self.texts.get(call.text, 0) + 1
        return True

    def label(self, call_id: str, *, good: bool) -> bool:
        """One that is bad makes a failure. False: there are too many."""
        if call_id not in self.labels and len(self.labels) >= LABELS_AT_MOST:
            return False
        self.labels[call_id] = self.labels.get(call_id, True) and good
        return True

    def labelled(self, call: LoggedCall) -> LoggedCall:
        """The call with its label, once all rows are read."""
        good = self.labels.get(call.id) if call.id and call.good is None else None
        return call if good is None else replace(call, good=good)

    def add(self, other: Account) -> None:
        """Take in the account of rows that come after these."""
        self.rows += other.rows
        self.calls += other.calls
        self.drawn += other.drawn
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.blocks |= other.blocks
        self.bills |= other.bills
        for reason, left in other.left.items():
            known = self.left.setdefault(reason, Left(0, left.first))
            known.rows += left.rows
        for text, count in other.texts.items():
            self.texts[text] = self.texts.get(text, 0) + count
        for call_id, good in other.labels.items():
            self.label(call_id, good=good)

    @property
    def damaged(self) -> int:
        return sum(left.rows for reason, left in self.left.items() if reason in DAMAGE)


class LeftOutError(Exception):
    """A row is no call of the audit."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason
