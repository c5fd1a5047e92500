"""What people ask a music school about its halls: in other words each time, and with a word more that says nothing.

Then the holidays come. The same questions, with a word more that changes the answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise, product
from typing import Any

from examples.traffic.truth import Truth

_HALLS = (
    "Elm", "Birch", "Maple", "Cedar", "Willow", "Poplar", "Hazel", "Rowan", "Linden", "Aspen",
    "Juniper", "Laurel", "Chestnut", "Walnut", "Alder", "Cypress", "Magnolia", "Sycamore", "Hawthorn", "Spruce",
)  # fmt: skip
_WHOM = ("choir", "trio", "friend", "class", "rehearsal", "quartet", "wedding", "guest", "beginner")
_IDLE = ("", *(f"It is for a {whom}." for whom in _WHOM))
_TELLING = ("It is for a holiday.", "It is on a holiday.", "It is a holiday.")


@dataclass(frozen=True, slots=True)
class _Aspect:
    """What may be asked of a hall, and the values of usual days and of holidays."""

    says: str
    asks: tuple[str, ...]
    usual: Sequence[str]
    holiday: Sequence[str]


_ASPECTS = (
    _Aspect(
        "opens at {}",
        ("When does the {} hall open", "How early does the {} hall open", "{} hall: when does it open"),
        [f"{hour}:{minute:02}" for hour in (6, 7, 8) for minute in range(60)],
        [f"{hour}:{minute:02}" for hour in (10, 11, 12) for minute in range(60)],
    ),
    _Aspect(
        "costs {} an hour",
        ("What does the {} hall cost", "How much does the {} hall cost", "{} hall: what does it cost"),
        [f"${usd}" for usd in range(20, 60)],
        [f"${usd}" for usd in range(70, 130)],
    ),
    _Aspect(
        "has {} chairs",
        ("How many chairs does the {} hall have", "How many chairs has the {} hall", "{} hall: how many chairs"),
        [str(chairs) for chairs in range(20, 60)],
        [str(chairs) for chairs in range(130, 190)],
    ),
)


@dataclass(frozen=True, slots=True)
class Question:
    """``answer``: its name, which all questions share that want the same."""

    text: str
    truth: Truth
    answer: str


@dataclass(frozen=True, slots=True)
class _Fact:
    """``usual`` and ``holiday``: what a right answer holds, and the line that says so."""

    asks: tuple[str, ...]
    usual: str
    holiday: str
    lines: str


def _facts() -> list[_Fact]:
    """Always the same, and of one aspect no two values alike."""
    rng, found = random.Random(0), list[_Fact]()
    for aspect in _ASPECTS:
        values = zip(*(rng.sample(some, len(_HALLS)) for some in (aspect.usual, aspect.holiday)), strict=True)
        for hall, (usual, holiday) in zip(_HALLS, values, strict=True):
            said = [f"The {hall} hall {aspect.says.format(usual)}."]
            said.append(f"On a holiday the {hall} hall {aspect.says.format(holiday)}.")
            found.append(_Fact(tuple(ask.format(hall) for ask in aspect.asks), usual, holiday, "\n".join(said)))
    return found


FACTS = _facts()
SYSTEM = "\n".join(["You answer for a music school.", *(fact.lines for fact in FACTS)])


def usual(seed: int) -> list[Question]:
    """Every question in every wording with every word that says nothing, in random order."""
    found = [
        Question(f"{ask}? {more}".strip(), Truth("contains", fact.usual), fact.asks[0])
        for fact, more in product(FACTS, _IDLE)
        for ask in fact.asks
    ]
    random.Random(seed).shuffle(found)
    return found


def pairs(questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
    """As people label them for `fivelevers calibrate semantic-cache --pairs`: each question with the first that has its
    answer, and with the one before it."""
    first: dict[str, str] = {}
    for before, question in pairwise(questions):
        known = first.setdefault(question.answer, question.text)
        yield {"a": known, "b": question.text, "same": True}
        yield {"a": before.text, "b": question.text, "same": before.answer == question.answer}


def holidays(seed: int) -> list[Question]:
    """The same questions about a holiday."""
    found = [
        Question(f"{ask}? {more}", Truth("contains", fact.holiday), f"{fact.asks[0]}, on a holiday")
        for fact, more in product(FACTS, _TELLING)
        for ask in fact.asks
    ]
    random.Random(seed).shuffle(found)
    return found


def mixed(seed: int, share: float, others: Sequence[Question]) -> Iterator[Question]:
    """``others`` again and again, of which ``share`` make way for questions about a holiday."""
    rng, telling = random.Random(seed), cycle(holidays(seed))
    for question in cycle(others):
        yield next(telling) if rng.random() < share else question
