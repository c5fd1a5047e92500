"""Classification: the instructions list `- label: cue, cue`; the label with most cues in the text wins."""

import re

from examples.provider_simulator.solvers.solution import Difficulty, Solution
from examples.provider_simulator.solvers.words import stems

_LINE = re.compile(r"^\s*[-*]\s*[`\"*]*([A-Za-z][\w /&-]{0,40}?)[`\"*]*\s*:\s*(.+)$", re.M)
_ASK = re.compile(r"\b(classif\w*|categori[sz]\w*|labels?|sentiment)\b", re.I)
_REST = ("other", "general", "neutral", "none", "unknown")


def labels(instructions: str) -> dict[str, list[str]]:
    """Cues by label, in order; empty when the instructions ask for no classification."""
    if not _ASK.search(instructions):
        return {}
    found = _LINE.findall(instructions)
    rows = {label.strip(): [cue.strip(' .;`"') for cue in cues.split(",")] for label, cues in found}
    return rows if len(rows) >= 2 else {}


def solve(instructions: str, text: str) -> Solution | None:
    known = labels(instructions)
    return rank(known, text) if known else None


def rank(known: dict[str, list[str]], text: str) -> Solution:
    """The label whose cues occur most in the text, the first one among equals; without any cue the one for the rest."""
    words = stems(text)
    counts = {label: sum(_occurs(cue, words) for cue in cues) for label, cues in known.items()}
    if not any(counts.values()):
        rest = [label for label in known if label.lower() in _REST]
        counts[(rest or list(known))[0]] = 1
    order = sorted(known, key=lambda label: -counts[label])
    lead = counts[order[0]] - counts[order[1]] if len(order) > 1 else counts[order[0]]
    return Solution("classification", order[0], tuple(order[1:4]), _difficulty(lead))


def _occurs(cue: str, words: list[str]) -> int:
    """The number of words of the cue when they stand in the text in a row, else 0."""
    wanted = stems(cue)
    if not wanted:
        return 0
    starts = range(len(words) - len(wanted) + 1)
    return len(wanted) if any(words[at : at + len(wanted)] == wanted for at in starts) else 0


def _difficulty(lead: int) -> Difficulty:
    return "easy" if lead >= 2 else "medium" if lead == 1 else "hard"
