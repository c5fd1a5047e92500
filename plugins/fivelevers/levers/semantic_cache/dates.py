"""Weekdays, months and marks of time that a question names, as bits."""

from __future__ import annotations

from typing import Final

from fivelevers.levers.semantic_cache.words import Word

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS_TEXT: Final = """
january february march april may june july august september october november december
"""
_MONTHS: Final = tuple(_MONTHS_TEXT.split())
_MARKS_TEXT: Final = """
today tomorrow yesterday tonight morning afternoon evening night noon midnight midday spring summer autumn winter
christmas easter thanksgiving halloween ramadan diwali holiday bank-holiday new-year next-day next-week next-month
next-year last-day last-week last-month last-year this-week this-month this-year same-day
"""
_MARKS: Final = tuple(_MARKS_TEXT.split())
_MARKS_AT: Final = {mark: len(_DAYS) + len(_MONTHS) + at for at, mark in enumerate(_MARKS)}
_WHICH: Final = frozenset({"next", "last", "this", "same", "previous", "current"})
_SAME_AS: Final = {"previous": "last", "current": "this"}
_SHORT: Final = {"fall": "autumn", "xmas": "christmas", "overnight": "night"}


def dates_of(words: list[Word]) -> int:
    """A bit for every weekday, month and mark of time that is named; "weekdays" and "Monday to Friday" are five."""
    bits, texts = 0, [_SHORT.get(word.text, word.text) for word in words]
    for at, text in enumerate(texts):
        bits |= _named(text, words[at].capital)
        if text in _WHICH and at + 1 < len(texts):
            mark = f"{_SAME_AS.get(text, text)}-{texts[at + 1].removesuffix('s')}"
            bits |= 1 << _MARKS_AT[mark] if mark in _MARKS_AT else 0
        if text in {"to", "till", "until", "through"} and 0 < at < len(texts) - 1:
            bits |= _between(texts[at - 1], texts[at + 1])
    return bits


def _named(text: str, capital: bool) -> int:
    if text in {"weekday", "weekdays"}:
        return 0b0011111
    if text in {"weekend", "weekends"}:
        return 0b1100000
    day = _day(text)
    if day is not None:
        return 1 << day
    month = next((at for at, name in enumerate(_MONTHS) if text in {name, name[:3]}), None)
    if month is not None and (capital or text not in {"may", "march", "mar", "sep", "dec", "jan"}):
        return 1 << len(_DAYS) + month
    mark = _MARKS_AT.get(text)
    return 0 if mark is None else 1 << mark


def _day(text: str) -> int | None:
    return next((at for at, name in enumerate(_DAYS) if text in {name, name + "s"}), None)


def _between(first: str, last: str) -> int:
    start, end = _day(first), _day(last)
    return sum(1 << day for day in range(start, end + 1)) if start is not None and end is not None else 0
