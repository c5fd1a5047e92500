"""What routes may not say together: names, the place of the default, reachability, the order of the levers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fivelevers.order import LEVERS, Mode
from fivelevers.policy.globs import covers
from fivelevers.policy.model import DEFAULT_ROUTE, Match, Route

_SETTLED = (Mode.ON, Mode.DOES_NOT_PAY, Mode.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that the route at ``index`` breaks, at ``path`` within it. ``first``: the route that it collides with."""

    index: int
    path: tuple[str, ...]
    value: object
    rule: str
    fix: str
    first: int | None = None


def breaches(routes: Sequence[Route]) -> Iterator[Breach]:
    """What makes a policy of these routes wrong."""
    names = [route.name for route in routes]
    for index, route in enumerate(routes):
        value = route.match.model_dump(exclude_defaults=True)
        last = index == len(names) - 1
        if names.index(route.name) != index:
            first = names.index(route.name)
            yield Breach(index, ("name",), route.name, "names another route too", "give each its own name", first)
        if route.name == DEFAULT_ROUTE and not last:
            yield Breach(index, ("name",), route.name, "is not the last route", "move `default` to the end")
        elif route.match == Match() and not last:
            yield Breach(index, ("match",), value, "matches every request", "say what it matches, or call it default")
        elif route.name == DEFAULT_ROUTE and route.match != Match():
            yield Breach(index, ("match",), value, "narrows the default route", "leave it out: default has the rest")
        else:
            yield from _unreachable(routes, index, value)


def _unreachable(routes: Sequence[Route], index: int, value: object) -> Iterator[Breach]:
    match = routes[index].match
    if len({name.lower() for name in match.header}) < len(match.header):
        yield Breach(index, ("match", "header"), value, "names a header twice", "keep one: names are case-blind")
    for at, earlier in enumerate(routes[:index]):
        if routes[index].name != DEFAULT_ROUTE and earlier.match != Match() and implied(earlier.match, match):
            fix = f"move it above {earlier.name}, or narrow {earlier.name}"
            yield Breach(index, ("match",), value, f"never gets a request: {earlier.name} has them all", fix, at)
            return


def implied(wide: Match, narrow: Match) -> bool:
    """Whether ``wide`` surely accepts whatever ``narrow`` accepts."""
    for name in ("tag", "team", "key_alias"):
        if getattr(wide, name) not in (None, getattr(narrow, name)):
            return False
    headers = {name.lower(): value for name, value in narrow.header.items()}
    if any(headers.get(name.lower()) != value for name, value in wide.header.items()):
        return False
    return _covers(wide.model, narrow.model) and _covers(wide.path, narrow.path)


def _covers(wide: str | None, narrow: str | None) -> bool:
    return wide is None or covers(wide, "*" if narrow is None else narrow)


def broken_order(routes: Sequence[Route]) -> Iterator[Breach]:
    """Levers that are on before what they stand on is on, or settled as not paying or not applicable."""
    for index, route in enumerate(routes):
        modes = {lever.name: route.levers.of(lever.name).mode for lever in LEVERS}
        for lever in LEVERS:
            waiting = [name for name in lever.depends_on if modes[name] not in _SETTLED]
            if modes[lever.name] is Mode.ON and waiting:
                found = ", ".join(f"{name} ({modes[name].value})" for name in waiting)
                fix = "switch that on first, or settle it: does-not-pay (measured) or not-applicable"
                yield Breach(index, ("levers", lever.name, "mode"), "on", f"is before its turn: first {found}", fix)
