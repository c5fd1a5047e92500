"""Comparison: which numbered candidate states the facts of the reference, when answers stand between tags.

Answers are compared sentence by sentence, without those that this simulator says around a fact: what is left of both
must be the same.
"""

import re

from examples.provider_simulator import wording
from examples.provider_simulator.solvers.solution import Solution

_REFERENCE = re.compile(r"<reference>\n(.*?)\n</reference>", re.S)
_CANDIDATE = re.compile(r"<candidate number=\"(\d+)\">\n(.*?)\n</candidate>", re.S)
_WORD = re.compile(r"\w+")


def solve(text: str) -> Solution | None:
    """The number of the first candidate that says what the reference says, or "0"; None where none is compared."""
    reference, candidates = _REFERENCE.search(text), _CANDIDATE.findall(text)
    if reference is None or not candidates:
        return None
    wanted = _facts(reference[1])
    same = [number for number, answer in candidates if _facts(answer) == wanted]
    right = same[0] if same else "0"
    wrong = tuple(number for number in ("0", *(number for number, _ in candidates)) if number not in {right, *same})
    return Solution("comparison", right, wrong, "easy")


def _facts(answer: str) -> tuple[str, ...]:
    """What stays of an answer without openings, leads, follow-ups and closings, in words alone."""
    for phrase in wording.PHRASES:
        answer = answer.replace(phrase, " ")
    return tuple(_WORD.findall(answer.casefold()))
