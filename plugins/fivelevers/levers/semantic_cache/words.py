"""Words of a question: split, brought near their base form, and which of them say nothing of its subject."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_WORD: Final = re.compile(
    r"(?P<number>\d[\d,]*(?:\.\d+)?)(?P<suffix>[a-z%°]*)"
    r"|(?P<word>[^\W\d_](?:[^\W_]|['\u2019](?=[^\W\d_]))*)"
    r"|(?P<sign>[£$€¥%#])",
    re.IGNORECASE,
)
_PARTICLES: Final = frozenset({"on", "off", "in", "out", "up", "down"})
_PARTICLE_VERBS: Final = frozenset({"turn", "switch", "sign", "opt", "log", "check", "clock", "move", "shut", "pay"})
_ENDINGS: Final = (("ies", "y", 3), ("ied", "y", 3), ("sses", "ss", 2), ("ing", "", 4), ("ed", "", 3), ("ly", "", 4))

_FILLERS: Final = """
a an the this that these those some any it its there here i me my mine we us our you your he him his she her they them
their one ones what whats which who whos whom whose when where why how hows is are was were be been being am im do
does did done doing have has had having ive can could will would shall should may might must let of in on at by for
with to from into onto as about and or but if than then so just also very really please thanks thank hi hello hey
sorry um uh okay ok well like want need know tell get got give make way best good
"""
FILLERS: Final = frozenset(_FILLERS.split())
"""Said in questions of every subject. ``best`` and ``good`` ask for advice more often than they tell apart."""


class Word(NamedTuple):
    """``text`` in lower case without apostrophes, ``base`` near its base form; ``capital``: written with one."""

    text: str
    base: str
    capital: bool
    number: str = ""  # the digits, where it is one: text holds what follows them ("kg", "pm", "rd")


def words_of(text: str) -> list[Word]:
    found = []
    for match in _WORD.finditer(text):
        number, suffix, word, sign = match.group("number", "suffix", "word", "sign")
        if number:
            found.append(Word(suffix.lower(), suffix.lower(), False, number.replace(",", "")))
        elif word:
            plain = word.lower().replace("\u2019", "'")
            bare = plain.removesuffix("'s").replace("'", "")
            found.append(Word(bare, stem(bare), word[0].isupper()))
        else:
            found.append(Word(sign, sign, False))
    return found


def stem(word: str) -> str:
    """Without the commonest endings of English: good enough to tell that two words are one, not to be read."""
    for ending, instead, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return _undoubled(word[: -len(ending)] + instead)
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def _undoubled(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        return word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def with_particles(words: list[Word]) -> list[str]:
    """Base forms; a verb and the particle that decides what it means, at most two words on, are one ("turn it off")."""
    bases = [word.base for word in words]
    for at, base in enumerate(bases):
        if base in _PARTICLE_VERBS:
            particle = next((w for w in bases[at + 1 : at + 4] if w in _PARTICLES), None)
            if particle is not None:
                bases[at] = base + particle
    return bases
