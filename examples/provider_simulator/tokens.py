"""A small deterministic tokenizer: a token is a literal span of the text, about four characters long.

No provider's vocabulary is reproduced. Counting is linear, equal texts count the same, and what a prompt of several
blocks counts is the sum over its blocks.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(r"\s?[A-Za-z]{1,6}|\s?[0-9]{1,3}|\s?[^\sA-Za-z0-9]|\s+")
_WORD = re.compile(r"\s*\S+|\s+")


def split_tokens(text: str) -> list[str]:
    """The text as tokens; joined again they are the text."""
    return _TOKEN.findall(text)


@lru_cache(maxsize=4096)
def count_tokens(text: str) -> int:
    return len(_TOKEN.findall(text))


def clip(text: str, max_tokens: int) -> str:
    """The first `max_tokens` tokens of the text."""
    return "".join(split_tokens(text)[:max_tokens])


def stream_pieces(text: str, words: int = 5) -> Iterator[str]:
    """The text in pieces for a stream, cut between words, so that the pieces count what the whole text counts."""
    found = _WORD.findall(text)
    for start in range(0, len(found), words):
        yield "".join(found[start : start + words])
