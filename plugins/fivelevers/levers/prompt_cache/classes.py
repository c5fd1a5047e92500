"""Reuse classes: which visits of prefixes are alike enough to learn from each other.

A class is a role and three bins, from the one that tells most to the one that tells least; its number holds three bits
for each, so that a shift by three gives the coarser class that it is a part of.
"""

from __future__ import annotations

from bisect import bisect_left

from fivelevers.levers.prompt_cache.node import Role

BIN_BITS = 3
LEVELS = (3, 2, 1, 0)
"""Shifts, in bins, from the coarsest class (the role alone) to the finest."""

_COUNTS = (1, 2, 3, 5, 9, 19, 49)
_GAPS_S = (20.0, 60.0, 300.0, 900.0, 3600.0)
_NO_GAP = len(_GAPS_S) + 1
_SIZES = (1024, 4096, 16_384, 65_536, 262_144)


def tip_class(role: Role, turn: int, gap_s: float | None, tail: int) -> int:
    """A request's end. ``gap_s``: since the turn before, None in the first. ``tail``: tokens after what was known."""
    return _class(role, _gap(gap_s), bisect_left(_SIZES, tail), bisect_left(_COUNTS, turn))


def inner_class(turn: int, gap_s: float | None) -> int:
    """A place within a conversation that goes on."""
    return _class(Role.INNER, bisect_left(_COUNTS, turn), _gap(gap_s), 0)


def shared_class(role: Role, visits: int, gap_s: float | None, tokens: int) -> int:
    """A head or a branch, which different conversations have in common. ``gap_s``: since its own last visit."""
    return _class(role, bisect_left(_COUNTS, visits), _gap(gap_s), bisect_left(_SIZES, tokens))


def role_of(class_id: int) -> Role:
    return Role((class_id >> BIN_BITS * LEVELS[0]) - 1)


def _gap(gap_s: float | None) -> int:
    return _NO_GAP if gap_s is None else bisect_left(_GAPS_S, gap_s)


def _class(role: Role, first: int, second: int, third: int) -> int:
    return (((role + 1 << BIN_BITS | first) << BIN_BITS | second) << BIN_BITS) | third
