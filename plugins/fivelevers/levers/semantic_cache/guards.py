"""Reasons for which two questions can not have one answer, however near their vectors are.

Embeddings hardly see the difference between 2 and 20, open and closed, or from A to B and from B to A; a guard sees
nothing else. Each costs hits where the difference does not matter, so a route chooses its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Final

from fivelevers.levers.semantic_cache.signature import Signature


class Guard(StrEnum):
    NUMBERS = "numbers"
    DATES = "dates"
    NEGATION = "negation"
    ENTITIES = "entities"


def refusals(asked: Signature, stored: Signature, guards: Collection[Guard]) -> tuple[Guard, ...]:
    """The guards that tell the two apart, in the order of ``Guard``; all of them where a signature is not known."""
    if not (asked.known and stored.known):
        return tuple(guard for guard in Guard if guard in guards)
    return tuple(guard for guard in Guard if guard in guards and _DIFFER[guard](asked, stored))


def numbers_differ(a: Signature, b: Signature) -> bool:
    """Whether a number of one is not in the other, as written or as an amount ("14 days", "two weeks")."""
    return not (_has_all(a.numbers, b.numbers) and _has_all(b.numbers, a.numbers))


def _has_all(wanted: tuple[tuple[int, int], ...], there: tuple[tuple[int, int], ...]) -> bool:
    return all(any(_same_number(number, other) for other in there) for number in wanted)


def _same_number(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Where only one names a unit, the digits decide."""
    return a[1] == b[1] if a[1] and b[1] else a[0] == b[0]


def dates_differ(a: Signature, b: Signature) -> bool:
    return a.dates != b.dates


def polarity_differs(a: Signature, b: Signature) -> bool:
    """Negated in one only; a word in one, its antonym in the other; "mute" and "unmute"."""
    if a.negators % 2 != b.negators % 2 or (a.turners > 0) != (b.turners > 0):
        return True
    return _opposed(a.poles, b.poles) or _prefixed(a, b) or _prefixed(b, a)


def _opposed(a: frozenset[int], b: frozenset[int]) -> bool:
    """On some axis each has one side, and not the same. One side of an axis differs from the other in the last bit."""
    return any(pole ^ 1 in b and pole not in b and pole ^ 1 not in a for pole in a)


def _prefixed(a: Signature, b: Signature) -> bool:
    """A word of ``b`` is in ``a`` with a negating prefix, and in neither the other way round."""
    return any(rest in b.words and rest not in a.words and rest not in b.prefixed for rest in a.prefixed)


def entities_differ(a: Signature, b: Signature) -> bool:
    """A name of one is not in the other, or what one goes to the other comes from ("from A to B", "from B to A")."""
    return not (_names(a).issubset(b.words) and _names(b).issubset(a.words)) or _turned(a, b)


def _names(signature: Signature) -> set[int]:
    return _chosen(signature, signature.names)


def _turned(a: Signature, b: Signature) -> bool:
    to_a, to_b = _chosen(a, a.towards), _chosen(b, b.towards)
    return not (to_a - to_b).isdisjoint(b.words) and not (to_b - to_a).isdisjoint(a.words)


def _chosen(signature: Signature, bits: int) -> set[int]:
    return {word for at, word in enumerate(signature.words) if bits >> at & 1}


_DIFFER: Final[dict[Guard, Callable[[Signature, Signature], bool]]] = {
    Guard.NUMBERS: numbers_differ,
    Guard.DATES: dates_differ,
    Guard.NEGATION: polarity_differs,
    Guard.ENTITIES: entities_differ,
}
