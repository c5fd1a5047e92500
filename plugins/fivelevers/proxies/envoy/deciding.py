"""What the filter says of one request: where it goes, and why. Pure; it sees what Envoy sends, which is less than the
lane knows.

Envoy's route may name the policy's route in its metadata. Where it does not, every route that the request may be on is
asked, since neither key nor team are known here: the lane, which knows them, has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fivelevers.lane.contract import asked_of, wish_of
from fivelevers.levers.batch.eligibility import Verdict, decide
from fivelevers.order import Mode
from fivelevers.policy import Match, Policy, Route
from fivelevers.policy.globs import compiled
from fivelevers.switch import NOTHING_OFF, SKIP_HEADER, skips

LEVER = "batch"
_ACTING = (Mode.ON, Mode.SHADOW)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request. ``path`` has no query; ``headers`` have lower-case names; ``route``: what Envoy's route names.

    ``body`` is None while it is not there, or where it is no JSON object.
    """

    path: str
    headers: tuple[tuple[str, str], ...]
    route: str = ""
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict, and the route of the policy that it is by; "" where none is known."""

    verdict: Verdict
    route: str


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds now: the policy, and the levers that are switched off, or back in shadow, on a route."""

    policy: Policy
    off: Callable[[str], frozenset[str]] = NOTHING_OFF.off
    retreated: Callable[[str], frozenset[str]] = NOTHING_OFF.retreated


def wants_body(seen: Seen, force: InForce) -> bool:
    """Whether a route that the request may be on decides by its body."""
    return any(
        route.levers.batch.inspect == "body" and route.levers.batch.mode in _ACTING
        for route in candidates(seen, force.policy)
    )


def decide_seen(seen: Seen, force: InForce) -> Decided:
    """To the lane where a route that the request may be on says so; else live, for the first reason beyond `off`."""
    live: Decided | None = None
    for route in candidates(seen, force.policy):
        verdict = _on(route, seen, force)
        if verdict.lane == "batch":
            return Decided(verdict, route.name)
        if live is None or live.verdict.why == "off":
            live = Decided(verdict, route.name)
    return live or Decided(Verdict("live", "no-route"), "")


def candidates(seen: Seen, policy: Policy) -> Iterator[Route]:
    """The routes that the request may be on, in the policy's order."""
    if seen.route:
        yield from (route for route in policy.routes if route.name == seen.route)
        return
    headers, model = dict(seen.headers), None if seen.body is None else str(seen.body.get("model"))
    for route in policy.routes:
        if _may_match(route.match, seen.path, headers, model):
            yield route
            if _told_here(route.match, model):
                return


def _may_match(match: Match, path: str, headers: Mapping[str, str], model: str | None) -> bool:
    """Whether nothing that is known here speaks against it."""
    return (
        (match.model is None or model is None or compiled(match.model).match(model) is not None)
        and (match.path is None or compiled(match.path).match(path) is not None)
        and all(headers.get(name.lower()) == value for name, value in match.header.items())
    )


def _told_here(match: Match, model: str | None) -> bool:
    """Whether all that a match asks for is known here: then the request surely is on its route."""
    unknown = (match.tag, match.team, match.key_alias, match.model if model is None else None)
    return all(one is None for one in unknown)


def _on(route: Route, seen: Seen, force: InForce) -> Verdict:
    switch = route.levers.batch
    if LEVER in force.retreated(route.name) and switch.mode is Mode.ON:
        switch = switch.model_copy(update={"mode": Mode.SHADOW})
    wished, _ = skips(dict(seen.headers).get(SKIP_HEADER, ""))
    skipped = LEVER in wished | force.off(route.name)
    return decide(asked_of(seen.path, wish_of(seen.headers), seen.body, skipped=skipped), switch)
