"""Forgetting a subject: whose data it is, and the search that shows that none is left.

Each place that keeps data of subjects is a `Forgetter`. Deleted is deleted: the money of what was forgotten is in no
later report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from mmap import mmap
from typing import Protocol

from fivelevers.policy import end_user_digest

# Fields of words that an operator or we chose: a route may be called like a team and is no trace of it.
NO_SUBJECT = frozenset(
    {"route", "api", "alias", "model", "provider", "deployment", "lever", "basis", "outcome", "source", "version_num"}
)
_ID_LENGTH = 32
_HEX = re.compile(rb"[0-9a-f]{%d,}" % _ID_LENGTH)


class SubjectKind(StrEnum):
    TEAM = "team"
    KEY = "key"
    END_USER = "end_user"


@dataclass(frozen=True, slots=True)
class Subject:
    """A team, a key (the proxy's hash of it, or its alias), or an end user: of ``team`` alone where that is given."""

    kind: SubjectKind
    name: str
    team: str | None = None

    @classmethod
    def of_tenant(cls, text: str) -> Subject:
        """`team:NAME` or `key:NAME`; a name without one of these words is a team's."""
        kind, _, name = text.partition(":")
        if name and kind in (SubjectKind.TEAM, SubjectKind.KEY):
            return cls(SubjectKind(kind), name)
        return cls(SubjectKind.TEAM, text)

    @property
    def columns(self) -> Mapping[str, str]:
        """Every field that may say whose an event is, and what it says for this subject."""
        if self.kind is SubjectKind.END_USER:
            return {"end_user": end_user_digest(self.name)}
        own = {"team": self.name} if self.kind is SubjectKind.TEAM else {"key": self.name, "key_alias": self.name}
        return {**own, "tenant": f"{self.kind}:{self.name}"}

    @property
    def names(self) -> tuple[str, ...]:
        """What must be found nowhere afterwards; nothing for an end user of one team, whom other teams may have too."""
        if self.kind is SubjectKind.END_USER:
            return () if self.team else (self.name, end_user_digest(self.name))
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Traces:
    """What to search for: the subject's names, and the ids of its requests and events (32 hex digits)."""

    subject: Subject
    ids: frozenset[str]
    _words: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = "|".join(re.escape(name) for name in self.subject.names)
        words = re.compile(rf"(?<![\w@.-])(?:{names})(?![\w@-]|\.\w)") if names else None
        object.__setattr__(self, "_words", words)

    def named_in(self, text: str) -> bool:
        """Whether a name stands there as a word of its own: `acme` is in `team:acme`, and not in `acme-2`."""
        return self._words is not None and self._words.search(text) is not None

    def ids_in(self, data: bytes | mmap) -> Iterator[str]:
        """The ids that stand in some bytes, whatever stands around them."""
        for run in _HEX.finditer(data):
            digits = run[0].decode()
            for start in range(len(digits) - _ID_LENGTH + 1):
                if digits[start : start + _ID_LENGTH] in self.ids:
                    yield digits[start : start + _ID_LENGTH]


class Forgetter(Protocol):
    """One place that keeps data of subjects. Counts are by table or file, in rows or lines."""

    def find(self, traces: Traces) -> Mapping[str, int]:
        """What `remove` would take away."""

    def remove(self, traces: Traces) -> Mapping[str, int]:
        """Take it away; how much that was."""

    def left(self, traces: Traces) -> Mapping[str, int]:
        """What a search for every name and id finds, wherever it stands; every place that was searched, 0 included."""
