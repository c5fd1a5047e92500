"""Numbers of a question, in one notation: "fifty pounds" is "£50", "two weeks" are "14 days"."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fivelevers.levers.semantic_cache.words import Word

_ONES_TEXT: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
"""
_ONES: Final = tuple(_ONES_TEXT.split())
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES: Final = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "lakh": 1e5,
    "crore": 1e7,
}
_SUFFIX_SCALES: Final = {"k": 1e3, "m": 1e6, "mn": 1e6, "bn": 1e9, "b": 1e9}
_ORDINALS_TEXT: Final = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
"""
_ORDINALS: Final = tuple(_ORDINALS_TEXT.split())
_OTHERS: Final = {"half": 0.5, "twice": 2.0, "double": 2.0, "triple": 3.0, "thrice": 3.0, "dozen": 12.0}

_VALUES: Final[dict[str, float]] = (
    {word: float(value) for value, word in enumerate(_ONES)}
    | {word: 20.0 + 10 * at for at, word in enumerate(_TENS)}
    | {word: 1.0 + at for at, word in enumerate(_ORDINALS)}
    | _OTHERS
)
_VAGUE: Final = frozenset({"one", "first", "second", "zero"})
"""Numbers only before a unit: "which one", "at first", "wait a second"."""

_UNITS: Final[dict[str, tuple[str, float]]] = {
    form: (base, factor)
    for forms, base, factor in (
        ("s sec secs second seconds", "s", 1.0),
        ("min mins minute minutes", "s", 60.0),
        ("h hr hrs hour hours hourly", "s", 3600.0),
        ("d day days daily", "s", 86_400.0),
        ("week weeks wk wks weekly", "s", 604_800.0),
        ("fortnight fortnights", "s", 1_209_600.0),
        ("month months mo monthly", "month", 1.0),
        ("quarter quarters quarterly", "month", 3.0),
        ("year years yr yrs yearly annual annually", "month", 12.0),
        ("decade decades", "month", 120.0),
        ("g gram grams", "g", 1.0),
        ("kg kgs kilo kilos kilogram kilograms", "g", 1000.0),
        ("mg milligram milligrams", "g", 0.001),
        ("lb lbs", "lb", 1.0),
        ("m metre metres meter meters", "m", 1.0),
        ("km kms kilometre kilometres kilometer kilometers", "m", 1000.0),
        ("cm centimetre centimetres centimeter centimeters", "m", 0.01),
        ("mm millimetre millimetres millimeter millimeters", "m", 0.001),
        ("mile miles", "mile", 1.0),
        ("ft foot feet", "inch", 12.0),
        ("inch inches", "inch", 1.0),
        ("l litre litres liter liters", "l", 1.0),
        ("ml millilitre millilitres milliliter milliliters", "l", 0.001),
        ("kb", "byte", 1e3),
        ("mb", "byte", 1e6),
        ("gb gig gigs", "byte", 1e9),
        ("tb", "byte", 1e12),
        ("% percent percentage pct", "%", 1.0),
        ("£ pound pounds gbp quid", "gbp", 1.0),
        ("$ dollar dollars usd buck bucks", "usd", 1.0),
        ("€ euro euros eur", "eur", 1.0),
        ("¥ yen jpy", "jpy", 1.0),
        ("rs rupee rupees inr", "inr", 1.0),
        ("c celsius", "celsius", 1.0),
        ("f fahrenheit", "fahrenheit", 1.0),
        ("am", "am", 1.0),
        ("pm", "pm", 1.0),
    )
    for form in forms.split()
}
_CODE: Final = re.compile(r"[0-9]+")
_SIGNS: Final = frozenset("£$€¥#")


class Number(NamedTuple):
    """``value`` as written; ``amount`` in the unit's base, named by ``unit`` ("" where none is said)."""

    value: float
    amount: float
    unit: str


def numbers_of(words: list[Word]) -> list[Number]:
    found, at = [], 0
    while at < len(words):
        value, after = _value(words, at)
        if value is None:
            at = after
            continue
        found.append(_with_unit(value, words, at, after))
        at = after
    return found


def _value(words: list[Word], at: int) -> tuple[float | None, int]:
    """The number that begins here, and where the words after it begin."""
    word = words[at]
    if word.number:
        scale = _SUFFIX_SCALES.get(word.text, 1.0) if word.text not in _UNITS or _money(words, at) else 1.0
        if at + 1 < len(words) and words[at + 1].text in _SCALES:
            return float(word.number) * _SCALES[words[at + 1].text], at + 2
        return float(word.number) * scale, at + 1
    if code := _CODE.search(word.text):  # "p60", "iphone12"
        return float(code.group()), at + 1
    if word.text not in _VALUES and word.text not in _SCALES:
        return None, at + 1
    return _spelled(words, at)


def _money(words: list[Word], at: int) -> bool:
    return at > 0 and words[at - 1].text in _SIGNS


def _spelled(words: list[Word], start: int) -> tuple[float | None, int]:
    total, part, at = 0.0, 0.0, start
    while at < len(words):
        text = words[at].text
        if text in _SCALES:
            total, part = total + (part or 1.0) * _SCALES[text], 0.0
        elif text == "and" and at > start and _joins(words, at):
            pass
        elif text in _VALUES and not (at > start and text == "second"):
            part += _VALUES[text]
        else:
            break
        at += 1
    if at == start + 1 and words[start].text in _VAGUE and not _unit_at(words, at):
        return None, at
    return total + part, at


def _joins(words: list[Word], at: int) -> bool:
    """ "one hundred and twenty", unlike "two and three"."""
    return words[at - 1].text in _SCALES and at + 1 < len(words) and words[at + 1].text in _VALUES


def _unit_at(words: list[Word], at: int) -> tuple[str, float] | None:
    return _UNITS.get(words[at].text) if at < len(words) and not words[at].number else None


def _with_unit(value: float, words: list[Word], at: int, after: int) -> Number:
    own = words[after - 1].text if words[after - 1].number else ""
    if at > 0 and words[at - 1].text in _SIGNS:
        unit = _UNITS.get(words[at - 1].text)
    elif own:
        unit = _UNITS.get(own)
    else:
        unit = _unit_at(words, after)
    name, factor = unit or ("", 1.0)
    return Number(value, value * factor, name)
