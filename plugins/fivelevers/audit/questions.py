"""The questions of a log that are looked up: all of a small one, of a large one those whose hash is low.

A hash draws the same questions each time, and from wherever in the log they stand. Whenever there are too many, the
tenth with the highest hashes is given up, and so is whatever comes later with such a hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from fivelevers.audit.answer_lines import AnswerLine, Charge

OF_A_ROUTE: Final = 5000
IN_ALL: Final = 5000
CHARS_IN_ALL: Final = 400_000  # an embedding takes some 15 ms of a core for 100 characters, up to 80 for a long text
_CHARS: Final = 2000  # more than the embedder reads
_READ: Final = 1000  # about what it does read: 256 tokens


@dataclass(frozen=True, slots=True)
class Asking:
    """One question as it is looked up. ``scope``: what must be the same for an answer to be given again; ``at`` and
    ``answered``: seconds since the epoch; ``said``: digest of the answer that it had, None where it is not in the log.
    """

    scope: bytes
    text: str
    at: float
    answered: float
    stored: bool
    said: bytes | None
    charge: Charge
    line: AnswerLine
    draw: float


class Questions:
    """Takes questions in arrival order; ``kept`` are those to look up."""

    def __init__(self, of_a_route: int = OF_A_ROUTE, in_all: int = IN_ALL, chars_in_all: int = CHARS_IN_ALL) -> None:
        self._of_a_route, self._in_all, self._chars_in_all = of_a_route, in_all, chars_in_all
        self._by_route: dict[str, list[Asking]] = {}
        self._below: dict[str, float] = {}
        self._below_all = 1.0
        self._count = self._chars = 0

    @property
    def kept(self) -> list[Asking]:
        """By time."""
        return sorted((one for kept in self._by_route.values() for one in kept), key=lambda one: one.at)

    def see(
        self,
        scope: bytes,
        text: str,
        *,
        at: float,
        answered: float,
        stored: bool,
        said: bytes | None,
        charge: Charge,
        line: AnswerLine,
    ) -> None:
        """One question that is no duplicate."""
        line.asked += 1
        line.question_chars += len(text)
        draw = _draw(scope, text)
        if draw >= min(self._below.get(line.route, 1.0), self._below_all):
            return
        asking = Asking(scope, text[:_CHARS], at, answered, stored, said, charge, line, draw)
        self._by_route.setdefault(line.route, []).append(asking)
        self._count += 1
        self._chars += _read(asking)
        self._thin(line.route)

    def _thin(self, route: str) -> None:
        if len(self._by_route[route]) > self._of_a_route:
            self._below[route] = _bar(self._by_route[route])
            self._keep(route, self._below[route])
        if self._count > self._in_all or self._chars > self._chars_in_all:
            self._below_all = _bar(one for kept in self._by_route.values() for one in kept)
            for each in self._by_route:
                self._keep(each, self._below_all)

    def _keep(self, route: str, below: float) -> None:
        kept = [one for one in self._by_route[route] if one.draw < below]
        self._count += len(kept) - len(self._by_route[route])
        self._chars -= sum(_read(one) for one in self._by_route[route] if one.draw >= below)
        self._by_route[route] = kept


def _read(one: Asking) -> int:
    """Characters that are embedded."""
    return min(len(one.text), _READ)


def _bar(kept: Iterable[Asking]) -> float:
    """Below it are nine tenths of the draws."""
    draws = sorted(one.draw for one in kept)
    return draws[len(draws) * 9 // 10]


def _draw(scope: bytes, text: str) -> float:
    """In [0, 1)."""
    drawn = sha256(b"fivelevers audit" + scope + text.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(drawn[:8], "big") >> 11) * 2.0**-53
