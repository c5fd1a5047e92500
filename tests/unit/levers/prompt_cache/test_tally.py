"""Sums by place."""

from __future__ import annotations

from decimal import Decimal

from fivelevers.levers.prompt_cache.difference import Section, What
from fivelevers.levers.prompt_cache.tally import PLACES_AT_MOST, Parted, Place, Tally


def place(segment: int = 0) -> Place:
    return Place("support", "claude-sonnet-4-5", Section.SYSTEM, segment, What.DATE)


def test_a_place_adds_up_and_keeps_the_last_character() -> None:
    tally = Tally()
    tally.add(place(), Parted(1, 100, Decimal("0.5"), 7))
    tally.add(place(), Parted(2, 300, Decimal("1.5"), 9))
    assert tally.take() == {place(): Parted(3, 400, Decimal(2), 9)}
    assert tally.sums() == {}


def test_it_is_bounded_and_loses_nothing_but_the_segment() -> None:
    tally = Tally()
    for segment in range(PLACES_AT_MOST + 50):
        tally.add(place(segment), Parted(1))
    sums = tally.sums()
    assert len(sums) == PLACES_AT_MOST
    assert sums[place(0)].times == 51
