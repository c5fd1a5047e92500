"""Lever 3's part of the audit: which calls of a log may not have needed their answer at once, and what they had saved.

Nobody can tell from a log who waits. So this gathers what speaks for it and against it, and decides nothing: a route
is batched when somebody says so.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Final

from fivelevers.audit.answer_lines import Charge, Taken
from fivelevers.audit.batch_lines import BatchLine, BatchLines, Caller, Gain, Sign, Waiting
from fivelevers.audit.calls import LoggedCall, with_provider
from fivelevers.audit.conversations import AT_MOST, REPLY_S, Conversations, Turn
from fivelevers.audit.manner import Manner, without_agents
from fivelevers.audit.series import Run, Series
from fivelevers.metering.cost import Unknown, cost
from fivelevers.prices import PriceBook, Usage
from fivelevers.request import Api

WORDS: Final = frozenset(
    {"backfill", "batch", "batches", "bulk", "cron", "etl", "eval", "evals", "evaluation", "hourly", "indexing"}
    | {"ingest", "ingestion", "nightly", "offline", "pipeline", "reindex", "scheduled", "weekly"}
)
"""Words by which people name what nobody waits for: in tags, names of keys and model aliases."""

OTHERS: Final = "(others)"
_CALLERS_AT_MOST = 5000
_ORIGINS_AT_MOST = 10_000  # some 8 MB; the one that called longest ago goes first
_BATCHED = (None, Api.CHAT, Api.RESPONSES, Api.MESSAGES, Api.EMBEDDINGS)  # None: the log does not tell
_HOUR_S, _DAY_S = 3600, 86_400
_NIGHT_FROM, _NIGHT_TO = 22, 6


@dataclass(slots=True)
class _Origin:
    """All calls of a caller, or those with one system prompt: a pipeline asks with several in turn, and a key may serve
    people beside it. ``rest``: calls without a sign, should a clock show later.
    """

    series: Series = field(default_factory=Series)
    rest: Gain = field(default_factory=Gain)
    rest_calls: int = 0


@dataclass(frozen=True, slots=True)
class _Open:
    """A call of which it is not known yet whether somebody replies to it, and what run it is in."""

    at: float
    caller: Caller
    origins: tuple[_Origin, ...]  # the narrowest last
    runs: tuple[Run, ...]
    turn: Turn
    whole_known: bool  # that it was not streamed
    prompt_known: bool
    deferred: bool
    word: str | None
    perhaps_answered: bool
    gain: Gain


class BatchAudit:
    """Takes the calls in arrival order; ``lines`` say what came out."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._conversations = Conversations()
        self._callers: dict[tuple[str, str, str, str], Caller] = {}
        self._origins: OrderedDict[tuple[str, str, str, str, bytes | None], _Origin] = OrderedDict()
        self._open: deque[_Open] = deque()

    def see(self, call: LoggedCall, route: str, charge: Charge | None, taken: Taken) -> None:
        """The next call, on ``route``; ``charge`` None: its price is not known; ``taken``: by lever 2."""
        call = with_provider(call, self._prices)
        manner, caller = call.manner, self._caller(route, call)
        caller.calls += 1
        origins = tuple(self._origins_of(caller, call))
        runs = tuple(origin.series.see(call.at, call.caller.end_user) for origin in origins)
        turn = self._conversations.see(f"{caller.key}/{call.alias}", call.request, call.at)
        turn.live |= manner.continued
        self._settle(call.at)
        batch = self._batch_usd(caller, call, charge, taken)
        waiting = _waiting(manner, turn)
        if batch is None or charge is None:
            return
        if waiting is not None:
            caller.waits[waiting] += 1
            return
        self._open.append(
            _Open(
                at=call.at,
                caller=caller,
                origins=origins,
                runs=runs,
                turn=turn,
                whole_known=manner.streamed is not None,
                prompt_known=call.request is not None,
                deferred=manner.deferred,
                word=_word(call),
                perhaps_answered=taken is Taken.PERHAPS,
                gain=Gain.of(charge, batch),
            )
        )

    def lines(self) -> BatchLines:
        """Once there are no more calls."""
        self._settle(float("inf"))
        found: dict[tuple[str, str], BatchLine] = {}
        for caller in self._callers.values():
            key = (caller.route, caller.model)
            found.setdefault(key, BatchLine(*key)).callers.append(caller)
        return found

    def _caller(self, route: str, call: LoggedCall) -> Caller:
        who = call.caller
        name = (route, call.model, who.key_alias or who.key[:12], call.manner.agent)
        if name not in self._callers and len(self._callers) >= _CALLERS_AT_MOST:
            name = (route, call.model, OTHERS, "")
        return self._callers.setdefault(name, Caller(*name))

    def _origins_of(self, caller: Caller, call: LoggedCall) -> Iterator[_Origin]:
        shared = call.request.shared if call.request else None
        for part in (None,) if shared is None else (None, shared):
            name = (caller.route, caller.model, caller.key, caller.agent, part)
            yield self._origins.setdefault(name, _Origin())
            self._origins.move_to_end(name)
            if len(self._origins) > _ORIGINS_AT_MOST:
                self._origins.popitem(last=False)

    def _batch_usd(self, caller: Caller, call: LoggedCall, charge: Charge | None, taken: Taken) -> Decimal | None:
        """What the call costs in a batch, where nothing is read from a cache; None, and counted: it can not be."""
        if taken is Taken.SURELY:
            caller.answered += 1
            return None
        if call.manner.api not in _BATCHED:
            caller.other_api += 1
            return None
        if call.manner.other_tier:
            caller.other_tier += 1
            return None
        price = self._prices.price(call.model, provider=call.provider or None, deployment=call.deployment)
        usd = cost(Usage(input=call.usage.prompt, output=call.usage.output), price, batch=True)
        caller.unpriced += charge is None
        caller.no_batch_price += charge is not None and isinstance(usd, Unknown)
        return None if isinstance(usd, Unknown) else usd

    def _settle(self, now: float) -> None:
        """Judge the calls to which nobody replies any more."""
        while self._open and (self._open[0].at + REPLY_S < now or len(self._open) > AT_MOST):
            _judge(self._open.popleft())


def _waiting(manner: Manner, turn: Turn) -> Waiting | None:
    """None: that nobody waited can not be ruled out."""
    if manner.streamed:
        return Waiting.STREAMED
    if manner.browser:
        return Waiting.BROWSER
    return Waiting.REPLIED if turn.live else None


def _judge(one: _Open) -> None:
    caller = one.caller
    if one.turn.live:
        caller.waits[Waiting.REPLIED] += 1
        return
    caller.take(one.gain, perhaps_answered=one.perhaps_answered)
    caller.streams_unknown += not one.whole_known
    caller.prompts_unknown += not one.prompt_known
    caller.at_night += _at_night(one.at)
    signs = list(_signs(one))
    caller.signs.update(signs)
    caller.signed += bool(signs)
    rest = one.origins[-1]
    rest.rest_calls += not signs
    if not one.perhaps_answered:
        (caller.sure if signs else rest.rest).add(one.gain)


def _signs(one: _Open) -> Iterator[Sign]:
    caller = one.caller
    if one.deferred:
        yield Sign.DEFERRED
    if one.word is not None:
        caller.words.add(one.word)
        yield Sign.NAMED
    burst = next((run for run in one.runs if run.burst), None)
    if burst is not None:
        caller.bursts += not burst.told
        burst.told = True
        yield Sign.BURST
    minute = next((origin.series.minute for origin in one.origins if origin.series.minute is not None), None)
    if minute is not None:
        caller.minutes.add(minute)
        _sign_rest(caller, one.origins[-1])
        yield Sign.CLOCK


def _sign_rest(caller: Caller, origin: _Origin) -> None:
    """The clock shows by now in what seemed to have no sign."""
    caller.signs[Sign.CLOCK] += origin.rest_calls
    caller.signed += origin.rest_calls
    caller.sure.add(origin.rest)
    origin.rest_calls, origin.rest = 0, Gain()


def _at_night(at: float) -> bool:
    day, hour = int(at // _DAY_S + 3) % 7, int(at % _DAY_S) // _HOUR_S  # the epoch began on a Thursday; 0: Monday
    return day >= 5 or not _NIGHT_TO <= hour < _NIGHT_FROM


def _word(call: LoggedCall) -> str | None:
    """The first word that names the call as one that nobody waits for."""
    return _named((*without_agents(call.caller.tags), call.caller.key_alias or "", call.alias))


@lru_cache(maxsize=1024)
def _named(names: tuple[str, ...]) -> str | None:
    return next((word for word in _words(names) if word in WORDS), None)


def _words(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield from re.split(r"[\W_]+", name.lower())
