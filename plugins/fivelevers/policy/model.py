"""The words of a policy, and which route a request is on. Pure.

Field descriptions are what `fivelevers schema` tells editors.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    model_validator,
)

from fivelevers.order import LEVER_NAMES, Mode
from fivelevers.policy.globs import compiled
from fivelevers.policy.levers import Levers
from fivelevers.policy.strict import Strict, unquoted, wrong

DEFAULT_ROUTE = "default"
TenantBy = Literal["team", "key", "end_user"]
Content = Literal["off", "sample", "all"]
RepeatMeans = Literal["retry", "nothing"]


def _usable_regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise wrong(f"is not a regular expression: {error}", "correct it (Python's `re`)") from error
    return pattern


def _usable_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    from jsonschema.exceptions import SchemaError  # only who validates answers with it waits for the import
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its root"
        raise wrong(f"is not a JSON Schema: {error.message}", f"correct it at {where}") from error
    return schema


class Match(Strict):
    """All fields that are given must match."""

    model: str | None = None
    """Glob over the model alias that the client asked for."""
    path: str | None = None
    """Glob over the path that the client called; `*` passes slashes."""
    header: dict[str, str] = Field(default_factory=dict)
    """Header: exact value; all of them must be there. Names are case-blind."""
    tag: str | None = None
    """One of LiteLLM's request tags."""
    team: str | None = None
    """The team's id or alias."""
    key_alias: str | None = None
    """The key's alias."""

    def accepts(self, caller: Caller, model: str) -> bool:
        return (
            (self.model is None or compiled(self.model).match(model) is not None)
            and (self.path is None or compiled(self.path).match(caller.path) is not None)
            and (self.tag is None or self.tag in caller.tags)
            and (self.team is None or self.team in (caller.team, caller.team_alias))
            and (self.key_alias is None or self.key_alias == caller.key_alias)
            and (not self.header or all(caller.headers.get(n.lower()) == value for n, value in self.header.items()))
        )


class Validator(Strict):
    """One check of an answer: exactly one of these keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    json_schema: Annotated[dict[str, Any], AfterValidator(_usable_json_schema)] | None = None
    """The answer's text is JSON that satisfies this schema."""
    tool_arguments: Literal[True] | None = None
    """The arguments of every tool call are JSON that satisfies the tool's own schema."""
    regex: Annotated[str, AfterValidator(_usable_regex)] | None = None
    """Searched in the answer's text."""
    python: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    """`package.module:callable`, called with the output."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Validator:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            rule = f"says {' and '.join(given)}" if given else "says nothing to check"
            raise wrong(rule, "write one of json_schema, tool_arguments, regex, python per item of the list")
        return self

    @property
    def kind(self) -> str:
        """The name of the field that is given."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)


class Route(Strict):
    """One rule: which requests it is about, and what may happen to them."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    """The route in the report, the metrics and the headers."""
    match: Match = Match()
    """Which requests are on this route: the first route that matches has them."""
    holdout: StrictFloat = Field(default=0.02, ge=0, le=0.5)
    """Share of the sessions that get no lever at all."""
    tenant: TenantBy = "team"
    """The wall that no cached answer crosses."""
    failure_cost_usd: StrictFloat = Field(default=0.0, ge=0)
    """What a failed answer costs the business beside its tokens, in USD."""
    content: Annotated[Content, BeforeValidator(unquoted)] = "off"
    """Whose requests and answers are kept as text: nobody's, a share of the sessions, or all."""
    content_share: StrictFloat = Field(default=0.01, ge=0, le=1)
    """Share of the sessions whose content is kept when `content` is `sample`."""
    retention_days: StrictInt = Field(default=30, ge=1, le=3650)
    """Days for which content is kept."""
    repeat_means: RepeatMeans = "nothing"
    """What the same request again in an explicit session says of the earlier answer; `retry`: that it failed."""
    repeat_window_s: StrictFloat = Field(default=600.0, gt=0)
    """Seconds after an answer within which a repeat speaks of it."""
    max_success_loss: StrictFloat = Field(default=0.02, ge=0, le=1)
    """By how much of the success rate a lever may fall behind its control before it retreats (0.02: 2 points)."""
    validators: tuple[Validator, ...] = ()
    """An answer is a success when all of these pass, and a failure when one does not."""
    levers: Levers = Levers()

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """The levers that are on: of the sessions outside the holdout, the share (0..1) that each treats."""
        switches = {name: self.levers.of(name) for name in LEVER_NAMES}
        return {name: switch.percent / 100 for name, switch in switches.items() if switch.mode is Mode.ON}


class Policy(Strict):
    """The whole policy, defaults applied and files included. ``hash`` names what an event was decided under."""

    version: Literal[1] = 1
    """Of this format."""
    order: Literal["strict", "warn"] = "warn"
    """What a lever that is on before its foundation is settled is: an error or a warning."""
    routes: tuple[Route, ...] = ()
    """The first match wins; what matches none is on the route `default`, which stands last."""

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]

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
            return f"end_user:{self.team or self.key}:{end_user_digest(self.end_user)}"
        if by == "team" and self.team:
            return f"team:{self.team}"
        return f"key:{self.key}"


def end_user_digest(end_user: str) -> str:
    """What stands for an end user wherever we keep something: 32 hex digits.

    Whoever knows the name finds it again (`fivelevers forget --end-user`). Without a key, so a name that can be guessed
    can be confirmed: it is a pseudonym, not anonymity.
    """
    return hashlib.sha256(end_user.encode("utf-8", "surrogatepass")).hexdigest()[:32]


EMPTY = Policy(routes=(Route(name=DEFAULT_ROUTE),))
