"""Where prompts part, added up by place: what `fivelevers explain prefix` shows. It holds no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from fivelevers.levers.prompt_cache.difference import Difference, Section, What

PLACES_AT_MOST = 1000
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Place:
    """A route, a model, and where in their prompts what differs."""

    route: str
    model: str
    section: Section
    segment: int
    what: What
    parameter: str = ""

    @classmethod
    def of(cls, route: str, model: str, told: Difference) -> Place:
        return cls(route, model, told.section, told.segment, told.what, told.parameter)

    def difference(self, offset: int) -> Difference:
        """The difference again, with the character at which it was seen last."""
        return Difference(self.section, self.segment, offset, self.what, 0, self.parameter)


@dataclass(frozen=True, slots=True)
class Parted:
    """How often prompts parted at a place; ``tokens`` that might have been read from the cache, and what that cost.

    ``usd`` is what these tokens cost beyond a read, without those of unknown price; ``offset``: the character, last.
    """

    times: int = 0
    tokens: int = 0
    usd: Decimal = _ZERO
    offset: int = 0

    def __add__(self, later: Parted) -> Parted:
        return Parted(self.times + later.times, self.tokens + later.tokens, self.usd + later.usd, later.offset)


class Tally:
    """Sums by place, bounded: past ``PLACES_AT_MOST`` a place counts as the first of its kind, or not at all."""

    def __init__(self) -> None:
        self._sums: dict[Place, Parted] = {}

    def add(self, place: Place, parted: Parted) -> None:
        if place not in self._sums and len(self._sums) >= PLACES_AT_MOST:
            place = replace(place, segment=0)
            if place not in self._sums:
                return
        self._sums[place] = self._sums.get(place, Parted()) + parted

    def sums(self) -> Mapping[Place, Parted]:
        return self._sums

    def take(self) -> dict[Place, Parted]:
        """All sums; the tally is empty afterwards."""
        taken, self._sums = self._sums, {}
        return taken
