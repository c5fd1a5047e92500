"""What is read off a cheap model's answer before it is trusted: how it ends, whether its sums are right, its chances.

Nothing here knows a task: sums are checked wherever an answer writes them down, and what does not occur counts 0.
"""

from __future__ import annotations

import re
from math import log1p
from typing import Final

from fivelevers.levers.routing.chances import Chances
from fivelevers.levers.routing.features import Features, features_of

ANSWER_SURFACE: Final = (
    "chars",
    "lines",
    "longer",
    "cut",
    "sums",
    "wrong_sums",
    "numbers",
    "numbers_of_prompt",
    "fraction",
    "last_digits",
    "doubt",
    "mean_chance",
    "least_chance",
    "no_chances",
)
_FIGURE: Final = r"\d[\d,]{0,15}(?:\.\d{1,9})?"  # bounded, as all of this: an answer may be anything
_NUMBER: Final = re.compile(rf"(?<![\d.,]){_FIGURE}")
_SUM: Final = re.compile(
    rf"(?<![\d.,])((?:\$?{_FIGURE}(?: ?%)? ?[-+*/x\u00d7\u00f7] ?){{1,8}}\$?{_FIGURE}(?: ?%)?) ?= ?\$?(-?{_FIGURE})"
)
_OPERATORS: Final = str.maketrans({"x": "*", "\u00d7": "*", "\u00f7": "/", ",": ""})
_TERM: Final = re.compile(r"(\d+(?:\.\d+)?)(%?)|([-+*/])")
_DOUBT: Final = re.compile(
    r"\b(however|cannot|can't|unable|unclear|sorry|impossible|not (?:possible|sure|enough))\b", re.I
)
_READ_CHARS: Final = 8_000
_TOLERANCE: Final = 0.01


def answer_features(prompt: str, answer: str, *, cut: bool = False, chances: Chances | None = None) -> Features:
    """``cut``: the provider stopped it at the token limit. ``chances``: of the answer's tokens, where it told them."""
    read = answer[-_READ_CHARS:]
    numbers = _NUMBER.findall(read)
    asked = set(_NUMBER.findall(prompt[-_READ_CHARS:]))
    sums, wrong = _sums(read)
    last = numbers[-1] if numbers else ""
    surface = (
        log1p(len(answer)),
        log1p(answer.count("\n")),
        log1p(len(answer)) - log1p(len(prompt)),
        float(cut or not _ends(read)),
        log1p(sums),
        float(wrong > 0),
        log1p(len(numbers)),
        len(asked.intersection(numbers)) / max(1, len(asked)),
        float("." in last),
        float(len(last)),
        float(_DOUBT.search(read) is not None),
        *_chances(chances),
    )
    return Features(surface, features_of(answer).words)


def _ends(answer: str) -> bool:
    """Whether the last line is a sentence, a number or the end of a block, not a word in the middle of one."""
    last = answer.rstrip()[-1:]
    return not last or not (last.isalpha() or last in ",(*/+-=<$:;")


def _chances(chances: Chances | None) -> tuple[float, float, float]:
    """And whether there are none."""
    return (0.0, 0.0, 1.0) if chances is None else (*chances, 0.0)


def _sums(answer: str) -> tuple[int, int]:
    """How many sums are written down (`12 * 3 = 36`), and how many of them are wrong by more than a hundredth."""
    checked = [_right(left, right) for left, right in _SUM.findall(answer)]
    return len(checked), checked.count(False)


def _right(left: str, right: str) -> bool:
    value, said = _value(left), float(right.replace(",", ""))
    return value is None or abs(value - said) <= _TOLERANCE * max(1.0, abs(value))


def _value(text: str) -> float | None:
    """Of numbers joined by + - * /, with the usual precedence; None where a division by zero is written."""
    total, product, sign, operator = 0.0, 0.0, 1.0, "+"
    for number, percent, found in _TERM.findall(text.translate(_OPERATORS)):
        if found:
            operator = found
            continue
        value = float(number) / (100 if percent else 1)
        if operator in "+-":
            total, product, sign = total + sign * product, value, 1.0 if operator == "+" else -1.0
        elif operator == "*":
            product *= value
        elif value:
            product /= value
        else:
            return None
    return total + sign * product
