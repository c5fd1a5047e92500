"""What is read off a prompt before it is routed: a few counts of its surface, and its words and pairs of words, hashed.

Both come from the same tokens: runs of letters, runs of digits, and single signs. Of a long prompt its beginning and
its end are read, where the question stands; so the cost is bounded, whatever the length.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import log1p
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKETS: Final = 2**14
SURFACE: Final = (
    "chars",
    "tokens",
    "token_chars",
    "capitals",
    "numbers",
    "signs",
    "operators",
    "lines",
    "questions",
    "commas",
    "brackets",
    "foreign",
    "blanks",
    "excepting",
)
"""The counts: the first two as logarithms, the rest per token, the last three 0 or 1."""

_READ_CHARS: Final = 2_000  # from the beginning, and as many from the end
_READ_TOKENS: Final = 128
_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_+")
_OPERATORS: Final = frozenset("+-*/=<>^%$\\")
_BRACKETS: Final = frozenset("()[]{}")
_EXCEPTING: Final = frozenset({"not", "except", "least", "false", "incorrect"})
_PAIR: Final = 0x9E3779B1  # an odd number that spreads the bits of the first word before the second is added
_MASK: Final = BUCKETS - 1

Indices = NDArray[np.int64]


class Features(NamedTuple):
    """``surface``: as ``SURFACE`` names them. ``words``: the buckets, each once, ascending."""

    surface: tuple[float, ...]
    words: Indices


def features_of(text: str) -> Features:
    tokens = _tokens(text)
    return Features(_surface(text, tokens), _buckets(tokens))


def mark_of(features: Features) -> int:
    """32 bits by which a prompt is known again; its numbers, its case and the order of its parts are not in them."""
    return crc32(features.words.tobytes())


def _tokens(text: str) -> list[str]:
    if len(text) <= 2 * _READ_CHARS:
        found = _TOKEN.findall(text)
        return found if len(found) <= 2 * _READ_TOKENS else found[:_READ_TOKENS] + found[-_READ_TOKENS:]
    head, tail = _TOKEN.findall(text[:_READ_CHARS]), _TOKEN.findall(text[-_READ_CHARS:])
    return head[:_READ_TOKENS] + tail[-_READ_TOKENS:]


def _surface(text: str, tokens: list[str]) -> tuple[float, ...]:
    signs = [token for token in tokens if not token.isalnum()]
    count = max(1, len(tokens))
    numbers = sum(map(str.isdigit, tokens))
    return (
        log1p(len(text)),
        log1p(len(tokens)),
        sum(map(len, tokens)) / count,
        sum(token[0].isupper() for token in tokens) / count,
        numbers / count,
        len(signs) / count,
        sum(sign in _OPERATORS for sign in signs) / count,
        text.count("\n", 0, 2 * _READ_CHARS) / count,
        signs.count("?") / count,
        signs.count(",") / count,
        sum(sign in _BRACKETS for sign in signs) / count,
        float(not text.isascii()),
        float("_" in text),
        float(not _EXCEPTING.isdisjoint(map(str.lower, tokens))),
    )


def _buckets(tokens: list[str]) -> Indices:
    words = np.array([_hash(token) for token in tokens], np.int64)
    pairs = (words[:-1] * _PAIR + words[1:]) >> 7
    return np.unique(np.concatenate([words, pairs]) & _MASK)


@lru_cache(maxsize=8192)
def _hash(token: str) -> int:
    """Numbers are told apart by their length alone."""
    return crc32((f"0{min(len(token), 4)}" if token.isdigit() else token.lower()).encode())
