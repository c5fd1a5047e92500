"""The policy file: which requests form a route, and which levers may act on it.

``load`` is strict: every problem in the file is reported at once, each with its path, value, rule and fix.
``Policy.match`` is pure and gives every request exactly one route.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fivelevers.errors import PolicyError, Problem
from fivelevers.order import LEVERS, Mode

DEFAULT_ROUTE = "default"
TenantBy = Literal["team", "key", "end_user"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LeverSwitch(_Strict):
    """One lever on one route: ``percent`` of the sessions outside the holdout are treated when the mode is ``on``."""

    mode: Mode = Mode.OFF
    percent: float = Field(default=100.0, ge=0, le=100)

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_reads_off_as_false(cls, value: object) -> object:
        # YAML 1.1 turns a bare `off` and `on` into booleans.
        return {False: "off", True: "on"}.get(value, value) if isinstance(value, bool) else value


class Levers(_Strict):
    prompt_cache: LeverSwitch = LeverSwitch()
    semantic_cache: LeverSwitch = LeverSwitch()
    batch: LeverSwitch = LeverSwitch()
    routing: LeverSwitch = LeverSwitch()
    quantization: LeverSwitch = LeverSwitch()

    def of(self, name: str) -> LeverSwitch:
        switch: LeverSwitch = getattr(self, name)
        return switch


class Match(_Strict):
    """All fields that are given must match; ``model`` and ``path`` are globs; header names are case-blind."""

    model: str | None = None
    path: str | None = None
    header: dict[str, str] = Field(default_factory=dict)
    tag: str | None = None
    team: str | None = None
    key_alias: str | None = None

    def accepts(self, caller: Caller, model: str) -> bool:
        return (
            (self.model is None or _glob(self.model).match(model) is not None)
            and (self.path is None or _glob(self.path).match(caller.path) is not None)
            and (self.tag is None or self.tag in caller.tags)
            and (self.team is None or self.team in (caller.team, caller.team_alias))
            and (self.key_alias is None or self.key_alias == caller.key_alias)
            and all(caller.headers.get(name.lower()) == value for name, value in self.header.items())
        )


class Route(_Strict):
    """One rule. ``holdout`` is the share of sessions that get no lever at all; money is in USD."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    match: Match = Match()
    holdout: float = Field(default=0.02, ge=0, le=0.5)
    tenant: TenantBy = "team"
    failure_cost_usd: float = Field(default=0.0, ge=0)
    levers: Levers = Levers()


class Policy(_Strict):
    """The whole file, defaults applied. ``hash`` names the version of it that an event was decided under."""

    version: Literal[1] = 1
    routes: tuple[Route, ...] = ()

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def match(self, caller: Caller, model: str) -> Route:
        for route in self.routes:
            if route.match.accepts(caller, model):
                return route
        raise AssertionError("a policy ends with its default route")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the proxy authenticated it, and how. ``key`` is the proxy's hash of the key, never the key."""

    path: str
    headers: Mapping[str, str]
    key: str
    key_alias: str | None = None
    team: str | None = None
    team_alias: str | None = None
    end_user: str | None = None
    tags: tuple[str, ...] = ()

    def tenant(self, by: TenantBy) -> str:
        """The wall that no answer crosses, prefixed by its kind so that a team and a key of one name stay apart."""
        if by == "end_user" and self.end_user:
            return f"end_user:{self.team or self.key}:{self.end_user}"
        if by == "team" and self.team:
            return f"team:{self.team}"
        return f"key:{self.key}"


EMPTY = Policy(routes=(Route(name=DEFAULT_ROUTE),))


def load(path: Path) -> Policy:
    """Read and check a policy file. Raises PolicyError with every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        fix = "create it, or point FIVELEVERS_POLICY at yours"
        raise PolicyError.of(str(path), None, reason, fix) from error
    return parse(text, file=str(path))


def parse(text: str, file: str = "policy") -> Policy:
    """Check the YAML text of a policy and apply its defaults. Raises PolicyError."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = error.problem_mark.line + 1 if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark else None
        raise PolicyError((Problem("", None, "is not YAML", str(error), file, line),)) from error
    if raw is None:
        return EMPTY
    if not isinstance(raw, dict):
        raise PolicyError((Problem("", type(raw).__name__, "is not a mapping", "start with `version: 1`", file),))
    try:
        policy = Policy.model_validate(_with_defaults(raw))
    except ValidationError as error:
        raise PolicyError(tuple(_problem(e, raw, file) for e in error.errors())) from error
    problems = tuple(_name_problems(policy, file))
    if problems:
        raise PolicyError(problems)
    return policy


def order_warnings(policy: Policy) -> Iterator[str]:
    """Levers that are on before one that they stand on: `order` of the design, told as a warning."""
    for route in policy.routes:
        on = {lever.name for lever in LEVERS if route.levers.of(lever.name).mode is Mode.ON}
        for lever in LEVERS:
            for earlier in lever.depends_on if lever.name in on else ():
                if earlier not in on:
                    path = f"routes.{route.name}.levers.{lever.name}"
                    yield f"{path}: on before {earlier}, which shrinks what it works on"


def _with_defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Routes inherit `defaults`, lever by lever and field by field; the default route stands last."""
    out = {key: value for key, value in raw.items() if key != "defaults"}
    defaults, routes = raw.get("defaults") or {}, raw.get("routes") or []
    if not isinstance(routes, list):
        return out  # the schema says what is wrong
    if not isinstance(defaults, dict):
        raise PolicyError.of("defaults", defaults, "is not a mapping", "write it as a route without name and match")
    if not any(isinstance(r, dict) and r.get("name") == DEFAULT_ROUTE for r in routes):
        routes = [*routes, {"name": DEFAULT_ROUTE}]
    out["routes"] = [_merge(defaults, route) if isinstance(route, dict) else route for route in routes]
    return out


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _name_problems(policy: Policy, file: str) -> Iterator[Problem]:
    names = [route.name for route in policy.routes]
    for index, route in enumerate(policy.routes):
        path, last = f"routes[{index}]", index == len(names) - 1
        name, match = f"{path}.name", f"{path}.match"
        if names.index(route.name) != index:
            yield Problem(name, route.name, "names a route above it too", "give each route its own name", file)
        if route.name == DEFAULT_ROUTE and not last:
            yield Problem(name, route.name, "is not the last route", "move `default` to the end", file)
        elif route.match == Match() and not last:
            yield Problem(match, None, "matches every request", "say what it matches, or call it default", file)
        elif route.name == DEFAULT_ROUTE and route.match != Match():
            yield Problem(match, "...", "narrows the default route", "leave it out: the default takes the rest", file)


def _problem(error: Mapping[str, Any], raw: Mapping[str, Any], file: str) -> Problem:
    where: Sequence[str | int] = error["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    if error["type"] == "extra_forbidden":
        known = _fields_at(where)
        near = difflib.get_close_matches(str(where[-1]), known, n=1)
        fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        return Problem(path, error["input"], "is not a known key", fix, file)
    return Problem(path, error.get("input"), str(error["msg"]), f"see `{where[-1]}` in the README's policy table", file)


def _fields_at(where: Sequence[str | int]) -> list[str]:
    below: dict[str, type[BaseModel]] = {"routes": Route, "match": Match, "levers": Levers}
    below |= dict.fromkeys(Levers.model_fields, LeverSwitch)
    model: type[BaseModel] = Policy
    for part in where[:-1]:
        model = below.get(str(part), model)
    names = list(model.model_fields)
    return [*names, "defaults"] if model is Policy else names


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
