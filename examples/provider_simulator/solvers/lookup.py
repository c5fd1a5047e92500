"""Look-up: the line of the context that a question asks for, by weighted overlap of words."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from examples.provider_simulator.solvers.solution import Difficulty, Solution
from examples.provider_simulator.solvers.words import terms

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"$(])")
_HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
_RULE = re.compile(r"^[\s|:-]+$")
_MONEY = re.compile(r"[$€£]\s?\d|\d\s?(?:USD|EUR|dollars|euros)")
_HOW_MUCH = re.compile(r"\bhow much (?=(?:is|are|does|do|did|for|would|will|to|the)\b)", re.I)
_PRICE = re.compile(r"\b(?:price|cost|costs|fee|charge)\b")
_HOW_MANY = re.compile(r"\b(?:how many|how long|how often|when|what time|how soon|deadline)\b")
_WITHOUT = re.compile(r"\b(?:without|excluding|except)\b", re.I)
_DIGIT = re.compile(r"\d")
_HEADING_WEIGHT, _NEAR_WEIGHT, _EARLIER_WEIGHT = 0.6, 0.25, 0.4
_ENOUGH = 0.3  # the share of the question's weight that a line must cover to count as its answer


@dataclass(frozen=True, slots=True)
class Unit:
    """A line, sentence or table row, with the words of its headings and of its paragraph."""

    text: str
    own: frozenset[str]
    heading: frozenset[str]
    near: frozenset[str]


class Rarity:
    """Inverse document frequency of a term over the units; a term that no unit has weighs as the rarest does."""

    def __init__(self, units: tuple[Unit, ...]) -> None:
        self._count = len(units)
        self._having = Counter(term for unit in units for term in unit.own | unit.heading)

    def of(self, term: str) -> float:
        return math.log(1 + self._count / max(1, self._having[term]))


def solve(context: str, question: str, earlier_question: str = "") -> Solution | None:
    """The best line and the runners-up; None when no line covers enough of the question."""
    units, rarity = _read(context)
    wanted = dict.fromkeys(terms(_HOW_MUCH.sub("price ", question)), 1.0)
    if len(wanted) <= 3:
        wanted = dict.fromkeys(terms(earlier_question), _EARLIER_WEIGHT) | wanted
    if not units or not wanted:
        return None
    total = math.fsum(rarity.of(term) * share for term, share in wanted.items())
    scored = sorted(((_score(unit, wanted, rarity, question), -at) for at, unit in enumerate(units)), reverse=True)
    best, at = scored[0]
    if best < _ENOUGH * total:
        return None
    right = units[-at].text
    wrong = [units[-other].text for _, other in scored[1:4] if units[-other].text != right]
    margin = (best - scored[1][0]) / best if len(scored) > 1 else 1.0
    return Solution("look-up", right, tuple(wrong), _difficulty(margin))


def _score(unit: Unit, wanted: dict[str, float], rarity: Rarity, question: str) -> float:
    matched = 0.0
    for term, share in wanted.items():
        part = 1.0 if term in unit.own else _HEADING_WEIGHT if term in unit.heading else 0.0
        matched += rarity.of(term) * share * (part or (_NEAR_WEIGHT if term in unit.near else 0.0))
    own = math.fsum(rarity.of(term) for term in unit.own) or 1.0
    unasked = math.fsum(rarity.of(term) for term in unit.own if term not in wanted) / own
    return matched * (1 - 0.2 * unasked) * _fit(unit.text, question.lower())


def _fit(text: str, question: str) -> float:
    """More for a line that has the kind of thing that is asked for, less for one that denies what is not denied."""
    denies = bool(_WITHOUT.search(text)) != bool(_WITHOUT.search(question))
    share = 0.85 if denies else 1.0
    if _HOW_MUCH.search(question) or _PRICE.search(question):
        return share * (1.2 if _MONEY.search(text) else 1.0)
    if _HOW_MANY.search(question):
        return share * (1.15 if _DIGIT.search(text) else 1.0)
    return share


def _difficulty(margin: float) -> Difficulty:
    return "easy" if margin >= 0.25 else "medium" if margin >= 0.08 else "hard"


@lru_cache(maxsize=64)
def _read(context: str) -> tuple[tuple[Unit, ...], Rarity]:
    units = tuple(_units(context))
    return units, Rarity(units)


def _units(context: str) -> Iterator[Unit]:
    """The context line by line; headings and table heads lend their words to what stands under them."""
    headings: list[tuple[int, str]] = []
    header: list[str] = []
    for line in context.splitlines():
        text = line.strip()
        heading = _HEADING.match(text)
        if heading:
            level = len(heading.group(1))
            headings = [*(row for row in headings if row[0] < level), (level, heading.group(2))]
            header = []
        elif text.startswith("|"):
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            if not header:
                header = cells
            elif not _RULE.match(text):
                row = "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(header, cells, strict=False))
                yield _unit(row, " ".join(cells), [*(title for _, title in headings), *header], "")
        elif text and not text.endswith("?"):
            header = []
            body = re.sub(r"^(?:[-*•]|\d+[.)])\s+", "", text).replace("**", "")
            for sentence in _SENTENCE.split(body):
                yield _unit(sentence, sentence, [title for _, title in headings], body)


def _unit(text: str, own: str, headings: list[str], near: str) -> Unit:
    return Unit(text, frozenset(terms(own)), frozenset(terms(" ".join(headings))), frozenset(terms(near)))
