"""Lever 2's part of the audit: which calls of a log had been answered from the store of answers, and what they cost.

Duplicates are told by what was asked alone, so our own ledger tells them without a prompt. Similar questions need the
text, and an embedder. Both as in the proxy with the lever's defaults: within a tenant, an alias and a route, for 24 h.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from fivelevers.audit.answer_lines import NO_CHARGE, AnswerLine, Charge, Taken
from fivelevers.audit.asked import Asked
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.duplicates import WAIT_S, FirstAnswers, Same
from fivelevers.audit.questions import Asking, Questions
from fivelevers.policy import Caller

if TYPE_CHECKING:
    from fivelevers.audit.similar import Vectors

_UNKNOWN_KEY = "unknown"  # what the readers of logs call the key of a row that names none


class SemanticCacheAudit:
    """Takes the calls in arrival order; ``lines`` say what came out. ``similar``: keep questions to look them up."""

    def __init__(self, *, similar: bool) -> None:
        self.similar = similar
        self._lines: dict[tuple[str, str], AnswerLine] = {}
        self._answers = FirstAnswers()
        self._questions = Questions()
        self.callers_unknown = 0

    def see(self, call: LoggedCall, route: str, charge: Charge | None) -> Taken:
        """The next call, on ``route``; ``charge`` None: its price is not known. Tells whether the same was answered."""
        line = self._lines.setdefault((route, call.model), AnswerLine(route, call.model))
        line.calls += 1
        asked = call.asked
        if asked is None:
            line.unknown += 1
        if asked is None or not asked.may_be:
            return Taken.NO
        line.may_be += 1
        self.callers_unknown += _tenant(call.caller) == f"key:{_UNKNOWN_KEY}"
        return self._look_up(call, asked, line, charge or NO_CHARGE)

    def lines(self) -> dict[tuple[str, str], AnswerLine]:
        """By route and model."""
        return self._lines

    @property
    def questions(self) -> list[Asking]:
        """Those to look up, by time: but for questions that have no other in their scope."""
        kept = self._questions.kept
        scopes = Counter(one.scope for one in kept)
        return [one for one in kept if scopes[one.scope] > 1]

    def look_up(
        self, questions: Sequence[Asking], vectors: Vectors, told: Callable[[int], None] = lambda _: None
    ) -> None:
        """``questions``, with their ``vectors`` as rows of unit length. Once, after the last call."""
        from fivelevers.audit.similar import look_up  # NumPy, which the plain install does not have

        look_up(questions, vectors, told)
        scopes = {one.scope for one in questions}
        for one in self._questions.kept:
            if one.scope not in scopes:
                one.line.looked_at += 1
                one.line.alone += 1

    def _look_up(self, call: LoggedCall, asked: Asked, line: AnswerLine, charge: Charge) -> Taken:
        wall = (line.route, _tenant(call.caller), call.alias)
        same = self._answers.see(_key(*wall, asked.digest), call.at, asked.ended, stored=asked.stored)
        if same in (Same.AT_ONCE, Same.TOO_SLOW):
            line.together.add(charge)
            line.together_tokens += call.usage.total
        if same in (Same.ANSWERED, Same.AT_ONCE):
            _count(line, same, asked, charge)
            return Taken.SURELY if asked.sampled is False else Taken.PERHAPS
        line.too_slow += same is Same.TOO_SLOW
        if asked.question is not None and self.similar:
            self._questions.see(
                _key(*wall, asked.question.rest.hex()),
                asked.question.text,
                at=call.at,
                answered=call.at + WAIT_S if asked.ended is None else asked.ended,
                stored=asked.stored,
                said=asked.said,
                charge=charge,
                line=line,
            )
        return Taken.NO


def _count(line: AnswerLine, same: Same, asked: Asked, charge: Charge) -> None:
    line.answered += same is Same.ANSWERED
    line.at_once += same is Same.AT_ONCE
    line.sampled += asked.sampled is True
    line.blind += asked.sampled is None
    (line.sure if asked.sampled is False else line.likely).add(charge)


def _tenant(caller: Caller) -> str:
    """The team, else the key, else its name: a log may have nothing but that."""
    if caller.team is None and caller.key == _UNKNOWN_KEY and caller.key_alias:
        return f"alias:{caller.key_alias}"
    return caller.tenant("team")


def _key(*parts: str) -> bytes:
    """16 bytes; lengths stand before each part, so that no two walls are one."""
    return sha256(_joined(parts)).digest()[:16]


def _joined(parts: Sequence[str]) -> bytes:
    encoded = (part.encode("utf-8", "surrogatepass") for part in parts)
    return b"".join(b"%d:%b" % (len(part), part) for part in encoded)
