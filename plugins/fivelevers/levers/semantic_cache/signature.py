"""What a question is compared by without its text: numbers, dates, polarity, names and the hashes of its words.

Computed once, kept beside the vector. A signature that another version packed is neutral: ``known`` is False, and all
that can be told is that nothing can be told.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from fivelevers.levers.semantic_cache.antonyms import NEGATING_PREFIXES, NEGATORS, NOT_NEGATED, POLES, TURNERS
from fivelevers.levers.semantic_cache.dates import dates_of
from fivelevers.levers.semantic_cache.numbers import Number, numbers_of
from fivelevers.levers.semantic_cache.words import FILLERS, Word, with_particles, words_of

VERSION: Final = 1
MOST_WORDS, MOST_NUMBERS, MOST_POLES, MOST_PREFIXED = 32, 8, 12, 4
_HEAD: Final = struct.Struct("<BBQBBBBBII")
_TOWARDS: Final = frozenset({"to", "into", "onto", "than"})


@dataclass(frozen=True, slots=True)
class Signature:
    """``words``: 16-bit hashes of what it is about, in order, each once; ``names`` and ``towards`` are bits over them:
    which are capitalised, and which stand behind "to", "into" or "than". ``numbers``: hashes of each as written and of
    its amount and unit (0: no unit). ``dates``: bits. ``poles``: sides of antonym axes; ``prefixed``: hashes of what is
    left of words that begin like a negated one; ``negators`` and ``turners`` count.
    """

    known: bool = False
    words: tuple[int, ...] = ()
    names: int = 0
    towards: int = 0
    numbers: tuple[tuple[int, int], ...] = ()
    dates: int = 0
    negators: int = 0
    turners: int = 0
    poles: frozenset[int] = frozenset()
    prefixed: frozenset[int] = frozenset()

    def pack(self) -> bytes:
        """At most 152 bytes."""
        head = _HEAD.pack(
            VERSION if self.known else 0,
            len(self.words),
            self.dates,
            self.negators,
            self.turners,
            len(self.numbers),
            len(self.poles),
            len(self.prefixed),
            self.names,
            self.towards,
        )
        hashes = [
            *self.words,
            *(half for number in self.numbers for half in number),
            *sorted(self.prefixed),
            *sorted(self.poles),
        ]
        return head + struct.pack(f"<{len(hashes)}H", *hashes)

    @classmethod
    def unpack(cls, raw: bytes) -> Signature:
        if len(raw) < _HEAD.size or raw[0] != VERSION:
            return NEUTRAL
        _, words, dates, negators, turners, numbers, poles, prefixed, names, towards = _HEAD.unpack_from(raw)
        count = words + 2 * numbers + prefixed + poles
        if len(raw) != _HEAD.size + 2 * count:
            return NEUTRAL
        hashes = struct.unpack_from(f"<{count}H", raw, _HEAD.size)
        halves, others = hashes[words : words + 2 * numbers], hashes[words + 2 * numbers :]
        return cls(
            known=True,
            words=hashes[:words],
            names=names,
            towards=towards,
            numbers=tuple(zip(halves[::2], halves[1::2], strict=True)),
            dates=dates,
            negators=negators,
            turners=turners,
            poles=frozenset(others[prefixed:]),
            prefixed=frozenset(others[:prefixed]),
        )


NEUTRAL: Final = Signature()


def signature_of(text: str) -> Signature:
    words = words_of(text)
    bases = with_particles(words)
    hashes, names, towards = _subject(words, bases)
    texts = [word.text for word in words]
    return Signature(
        known=True,
        words=hashes,
        names=names,
        towards=towards,
        numbers=tuple(_hashed(number) for number in numbers_of(words)[:MOST_NUMBERS]),
        dates=dates_of(words),
        negators=min(sum(text in NEGATORS for text in texts), 255),
        turners=min(sum(base in TURNERS for base in bases), 255),
        poles=frozenset(_first(MOST_POLES, (pole for base in bases for pole in sorted(POLES.get(base, ()))))),
        prefixed=frozenset(_first(MOST_PREFIXED, (_hash(rest) for base in bases for rest in _negated(base)))),
    )


def _subject(words: list[Word], bases: list[str]) -> tuple[tuple[int, ...], int, int]:
    """Hashes of the words that are no fillers; which are names; which something goes to."""
    hashes: dict[int, int] = {}
    names = towards = 0
    shouted = sum(word.capital for word in words) > len(words) / 2
    before = ""
    for at, (word, base) in enumerate(zip(words, bases, strict=True)):
        if word.text in FILLERS or word.number or not base:
            before = word.text if word.text in _TOWARDS or word.text not in FILLERS else before
            continue
        place = hashes.setdefault(_hash(base), len(hashes))
        if place < MOST_WORDS:
            names |= (word.capital and not shouted and at > 0) << place
            towards |= (before in _TOWARDS) << place
        before = word.text
    return tuple(hashes)[:MOST_WORDS], names, towards


def _negated(base: str) -> list[str]:
    rests = (base.removeprefix(prefix) for prefix in NEGATING_PREFIXES if base.startswith(prefix))
    return [rest for rest in rests if len(rest) >= 4 and rest not in NOT_NEGATED]


def _hashed(number: Number) -> tuple[int, int]:
    return _hash(f"{number.value:g}"), _hash(f"{number.amount:g}{number.unit}") or 1 if number.unit else 0


def _hash(text: str) -> int:
    return crc32(text.encode()) & 0xFFFF


def _first(count: int, items: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(items))[:count]
