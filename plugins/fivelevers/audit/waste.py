"""What was paid to no use, by name. Levers 1 and 2 save some of it: nothing here adds to what they save."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from fivelevers.audit.answer_lines import NO_CHARGE, ZERO, Charge
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.lines import Line
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.levers.prompt_cache.difference import What
from fivelevers.levers.prompt_cache.tally import Tally
from fivelevers.policy import Route

WINDOW_S: Final[float] = Route.model_fields["repeat_window_s"].default
"""How long after an answer the same request by the same caller says that it was of no use: a route's default."""

ON_PURPOSE: Final = 16
"""Tokens of an answer that was cut off, up to which its caller wanted no more: a class, a yes or a no."""

_KNOWN_AT_MOST: Final = 500_000
_CHANGING: Final = (What.TIMESTAMP, What.DATE, What.UUID, What.RANDOM_ID)


class Name(StrEnum):
    """What it is called."""

    AGAIN = "asked again"
    CUT_OFF = "cut off at the token limit"
    CHANGED = "prompts changed by a time or an id"
    AT_ONCE = "the same at once"
    NEVER_READ = "cache writes never read"
    NO_PRICE = "price not known"


@dataclass(slots=True)
class Wasted:
    """``calls`` that it befell; ``tokens`` and ``usd`` that were paid for them to no use, of those with a price."""

    calls: int = 0
    tokens: int = 0
    usd: Decimal = ZERO

    def add(self, calls: int, tokens: int, usd: Decimal) -> None:
        self.calls += calls
        self.tokens += tokens
        self.usd += usd


@dataclass(frozen=True, slots=True)
class _Answer:
    line: tuple[str, str]
    ended: float
    tokens: int
    usd: Decimal


class AskedAgain:
    """Takes the calls in arrival order: what was asked again, and what was cut off.

    The same request again says that the answer before it was of no use only where the log names who asked, an end user
    or a session that goes on: two people may ask the same, and LiteLLM gives a session to each call that has none.
    ``nameless``: calls that nothing ties to another.
    """

    def __init__(self, at_most: int = _KNOWN_AT_MOST) -> None:
        self._at_most = at_most
        self._last: OrderedDict[tuple[str, str, str], _Answer] = OrderedDict()  # the last seen at the end
        self._sessions: OrderedDict[str, bool] = OrderedDict()  # whether it went on; the last seen at the end
        self.found: defaultdict[tuple[tuple[str, str], Name], Wasted] = defaultdict(Wasted)
        self.nameless = 0
        self.ends_unknown = 0

    def see(self, call: LoggedCall, route: str, charge: Charge | None) -> None:
        """``charge`` None: its price is not known."""
        line, usd = (route, call.model), (charge or NO_CHARGE).paid
        self.ends_unknown += call.cut_off is None
        if call.cut_off and call.usage.output > ON_PURPOSE:
            self.found[line, Name.CUT_OFF].add(1, call.usage.total, usd)
        self._again(call, _Answer(line, _ended(call), call.usage.total, usd))

    def _again(self, call: LoggedCall, answer: _Answer) -> None:
        if call.asked is None or (who := self._who(call)) is None:
            self.nameless += 1
            return
        key = (who, call.alias, call.asked.digest)
        before = self._last.pop(key, None)
        if before is not None and before.ended < call.at <= before.ended + WINDOW_S:
            self.found[before.line, Name.AGAIN].add(1, before.tokens, before.usd)
        self._last[key] = answer if before is None or before.ended <= answer.ended else before
        if len(self._last) > self._at_most:
            self._last.popitem(last=False)

    def _who(self, call: LoggedCall) -> str | None:
        """Who asked, as far as that ties one call to another: the end user, else the session."""
        if call.caller.end_user:
            return f"user:{call.caller.end_user}"
        if not call.session:
            return None
        went_on = self._sessions.pop(call.session, None)
        if went_on is None:
            self.nameless += 1  # until another call of it comes
        elif not went_on:
            self.nameless -= 1
        self._sessions[call.session] = went_on is not None
        if len(self._sessions) > self._at_most:
            self._sessions.popitem(last=False)
        return f"session:{call.session}"


def _ended(call: LoggedCall) -> float:
    ended = call.asked.ended if call.asked else None
    return call.at if ended is None else max(ended, call.at)


def waste_of(
    lines: Iterable[Line], answers: SemanticCacheAudit, differences: Tally, told: AskedAgain
) -> dict[tuple[str, str], dict[str, Wasted]]:
    """By route and model, and name; what is not in it is none."""
    found: defaultdict[tuple[tuple[str, str], Name], Wasted] = defaultdict(Wasted)
    for at, some in told.found.items():
        found[at].add(some.calls, some.tokens, some.usd)
    for key, answered in answers.lines().items():
        found[key, Name.AT_ONCE].add(answered.together.calls, answered.together_tokens, answered.together.paid)
    for place, parted in differences.sums().items():
        if place.what in _CHANGING:
            found[(place.route, place.model), Name.CHANGED].add(parted.times, parted.tokens, parted.usd)
    for line in lines:
        key = line.route, line.model
        found[key, Name.NEVER_READ].add(0, line.never_read, line.never_read_usd)
        found[key, Name.NO_PRICE].add(line.calls - line.priced, line.unpriced_tokens, ZERO)
    return _by_line(found)


def _by_line(found: Mapping[tuple[tuple[str, str], Name], Wasted]) -> dict[tuple[str, str], dict[str, Wasted]]:
    told: defaultdict[tuple[str, str], dict[str, Wasted]] = defaultdict(dict)
    for (line, name), some in found.items():
        if some.calls or some.tokens:
            told[line][name.value] = some
    return dict(told)
