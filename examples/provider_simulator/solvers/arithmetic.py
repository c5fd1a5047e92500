"""Arithmetic: an expression in the question, worked out exactly."""

import re
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow

from examples.provider_simulator.solvers.solution import Difficulty, Solution

_REWRITES = (
    (re.compile(r"[$€£]\s*(?=\d)"), ""),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
    (re.compile("[\u00d7\u2217\u00b7]"), "*"),
    (re.compile("\u00f7"), "/"),
    (re.compile("[\u2212\u2013]"), "-"),
    (re.compile(r"(?<=[\d)])\s*[xX]\s*(?=[\d(])"), " * "),
    (re.compile(r"(\d+(?:\.\d+)?)\s*%\s*of\s+(?=[\d(])"), r"(\1 / 100) * "),
)
_EXPRESSION = re.compile(r"-?[\d(][\d\s.()+*/-]*[\d)]")
_OPERATOR = re.compile(r"(?<=[\d)])\s*([+*/-])\s*(?=[-\d(.])")
_ASK = re.compile(
    r"\b(what(?:'s| is| are| does)|calculate|compute|evaluate|work out|how much|total|sum|result|add)\b|=", re.I
)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[()+*/-]")
_LOOK_ALIKE = re.compile(r"^(?:\d+-\d+(?:-\d+)*|\d+/\d+/\d+)$")
_MAX_LENGTH, _MAX_QUESTION = 200, 2000  # characters


def solve(question: str) -> Solution | None:
    """The value of the question's longest expression; None when it asks for none."""
    text = question[-_MAX_QUESTION:]
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    found = [match.group().strip() for match in _EXPRESSION.finditer(text)]
    candidates = [expression for expression in found if _is_asked(expression, text)]
    if not candidates:
        return None
    expression = max(candidates, key=lambda found: len(_OPERATOR.findall(found)))
    value = evaluate(expression)
    return None if value is None else Solution("arithmetic", plain(value), _near(value), _difficulty(expression))


def _is_asked(expression: str, text: str) -> bool:
    operators = _OPERATOR.findall(expression)
    if not operators or len(expression) > _MAX_LENGTH or expression == "24/7":
        return False
    words = len(re.findall(r"[A-Za-z]+", text))
    if words > 5 and _LOOK_ALIKE.match(expression):
        return False
    return words == 0 or bool(_ASK.search(text))


def evaluate(expression: str) -> Decimal | None:
    """The value of numbers joined by + - * / and parentheses; None where the text is no such expression."""
    tokens = _TOKEN.findall(expression)
    try:
        value = _sum(tokens)
    except (IndexError, InvalidOperation, DivisionByZero, Overflow, ValueError):
        return None
    return None if tokens else value


def _sum(tokens: list[str]) -> Decimal:
    value = _product(tokens)
    while tokens and tokens[0] in "+-":
        value = value + _product(tokens) if tokens.pop(0) == "+" else value - _product(tokens)
    return value


def _product(tokens: list[str]) -> Decimal:
    value = _atom(tokens)
    while tokens and tokens[0] in "*/":
        value = value * _atom(tokens) if tokens.pop(0) == "*" else value / _atom(tokens)
    return value


def _atom(tokens: list[str]) -> Decimal:
    token = tokens.pop(0)
    if token == "-":
        return -_atom(tokens)
    if token != "(":
        return Decimal(token)
    value = _sum(tokens)
    if tokens.pop(0) != ")":
        raise ValueError("a parenthesis is missing")
    return value


def plain(value: Decimal) -> str:
    """At most six decimals, no exponent, no trailing zeros."""
    rounded = round(value, 6)
    return format(rounded.normalize(), "f") if rounded else "0"


def _near(value: Decimal) -> tuple[str, ...]:
    """What slips of the pen make of a number."""
    step = Decimal(1) if value == value.to_integral_value() else Decimal("0.1")
    slips = (value + step, value - step * 10, value * 10, value + step * 9)
    return tuple(plain(slip) for slip in slips if plain(slip) != plain(value))


def _difficulty(expression: str) -> Difficulty:
    operators = _OPERATOR.findall(expression)
    digits = max(len(re.sub(r"\D", "", number)) for number in re.findall(r"[\d.]+", expression))
    load = len(operators) + operators.count("/") + max(0, digits - 3)
    return "easy" if load <= 3 else "medium" if load <= 6 else "hard"
