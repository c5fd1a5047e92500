"""The ways out: which levers a person, or the guard, took out of force, and where.

A `Switch` is one action for one place: a route and a lever, either of which may be ``*`` for all of them. Every store
keeps the latest action of each place, so boards merge in any order, and however often, into the same one.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from fivelevers.order import LEVER_NAMES

ANY = "*"
SKIP_HEADER = "x-fivelevers-skip"
EVERY_LEVER = frozenset(LEVER_NAMES)

Place = tuple[str, str]  # (route, lever)


class Action(StrEnum):
    OFF = "off"
    RETREAT = "retreat"  # back to shadow, by the guard
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Switch:
    """One action. ``at`` is seconds since the epoch; ``actor`` a key's alias, or user@host, or the guard."""

    at: float
    event_id: str
    action: Action
    route: str
    lever: str
    actor: str
    reason: str | None = None

    @property
    def place(self) -> Place:
        return self.route, self.lever

    @property
    def stamp(self) -> tuple[float, str]:
        """What decides which of two actions is the later one."""
        return self.at, self.event_id


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Another policy came into force. ``old`` and ``new`` are hashes; ``changes`` says what differs, where known."""

    at: float
    event_id: str
    actor: str
    old: str | None
    new: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """The latest action of each place. Immutable: a change is another board."""

    latest: Mapping[Place, Switch] = field(default_factory=dict)

    def merged(self, switches: Iterable[Switch]) -> Board:
        """With those of ``switches`` that are later than what is known; this very board when none is."""
        latest = dict(self.latest)
        for switch in switches:
            known = latest.get(switch.place)
            if known is None or known.stamp < switch.stamp:
                latest[switch.place] = switch
        return Board(latest) if latest != self.latest else self

    @cached_property
    def standing(self) -> tuple[Switch, ...]:
        """What is off now, by place."""
        return tuple(self.latest[place] for place in sorted(self.latest) if self.latest[place].action != Action.RESUME)

    def off(self, route: str) -> frozenset[str]:
        """The levers that a person took out of force on a route."""
        return self._levers(route, Action.OFF)

    def retreated(self, route: str) -> frozenset[str]:
        """The levers that the guard put back to shadow on a route."""
        return self._levers(route, Action.RETREAT)

    def _levers(self, route: str, action: Action) -> frozenset[str]:
        levers = frozenset(s.lever for s in self.standing if s.action is action and s.route in (ANY, route))
        return EVERY_LEVER if ANY in levers else levers

    def within(self, route: str, lever: str) -> tuple[Switch, ...]:
        """What is off now inside a place: what resuming it lifts."""
        return tuple(s for s in self.standing if route in (ANY, s.route) and lever in (ANY, s.lever))


NOTHING_OFF = Board()


def skips(header: str) -> tuple[frozenset[str], int]:
    """The levers that a skip header takes out of force, and how many of its words are none."""
    if not header:
        return frozenset(), 0
    words = [word.strip().lower().replace("-", "_") for word in header.split(",")]
    unknown = sum(1 for word in words if word and word != "all" and word not in EVERY_LEVER)
    return EVERY_LEVER if "all" in words else EVERY_LEVER.intersection(words), unknown


def check(route: str, lever: str, reason: str | None, routes: Collection[str] | None) -> None:
    """Raises ValueError on a lever that there is not, a route that is none of ``routes`` (None: not known here), or a
    reason that would not stay on its line.
    """
    _check_name("lever", lever, LEVER_NAMES)
    if routes is not None:
        _check_name("route", route, routes)
    if reason is not None and not reason.isprintable():
        raise ValueError(f"reason: {reason!r} has characters that do not print; write one line of text")


def _check_name(what: str, name: str, known: Collection[str]) -> None:
    if name == ANY or name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"{what}: {name!r} is not known; {hint}use {ANY!r} or one of {', '.join(dict.fromkeys(known))}")
