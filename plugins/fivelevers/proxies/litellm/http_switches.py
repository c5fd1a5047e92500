"""The endpoints of the ways out: switch levers off and on again, for the whole fleet, with an admin's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from fivelevers.errors import StoreError
from fivelevers.proxies.litellm.authentication import admin
from fivelevers.proxies.litellm.reading import key_name
from fivelevers.proxies.litellm.state import State
from fivelevers.stores.switches import StoreState
from fivelevers.switch import ANY, Action, PolicyChange, Switch, check

Admin = Annotated[Any, Depends(admin)]


class PlaceIn(BaseModel):
    """Where: a route and a lever, ``*`` for all of them; and why, for whoever looks at it later."""

    model_config = ConfigDict(extra="forbid")

    route: str = Field(default=ANY, max_length=63)
    lever: str = Field(default=ANY, max_length=16)
    reason: str | None = Field(default=None, max_length=500)


class SwitchOut(BaseModel):
    """One place that is off: by a person (`off`) or by the guard (`retreat`)."""

    route: str
    lever: str
    kind: Literal["off", "retreat"]
    at: datetime
    by: str
    reason: str | None


class PolicyChangeOut(BaseModel):
    at: datetime
    by: str
    old: str | None
    new: str
    changes: tuple[str, ...]


class SwitchesOut(BaseModel):
    """``done`` is what this call switched off or lifted; ``off`` what is off now, on every replica within a second.

    ``off_here``: this process was started with FIVELEVERS_OFF, which no call lifts.
    """

    done: list[SwitchOut]
    off: list[SwitchOut]
    off_here: bool
    redis: StoreState
    ledger: StoreState
    policy_change: PolicyChangeOut | None


def router(state: State) -> APIRouter:
    """The endpoints over this process's state. They wait for Redis and the ledger, so they are plain functions."""
    routes = APIRouter()

    @routes.get("/off")
    def get_off(caller: Admin) -> SwitchesOut:
        """What is switched off now, by whom and why."""
        return _told(state, ())

    @routes.post("/off")
    def post_off(place: PlaceIn, caller: Admin) -> SwitchesOut:
        """Switch a lever off, or all of them, on a route or everywhere. Requests are metered all the same."""
        return _change(state, place, caller, _routes(state), state.switches.off)

    @routes.post("/resume")
    def post_resume(place: PlaceIn, caller: Admin) -> SwitchesOut:
        """Lift what is off inside a place: switches and retreats. What is off in a wider place stays off."""
        # A route that the policy has no longer may still be switched off.
        off = (switch.route for switch in state.switches.current().standing if switch.route != ANY)
        return _change(state, place, caller, [*_routes(state), *off], state.switches.resume)

    return routes


def _routes(state: State) -> list[str]:
    return [route.name for route in state.policy.current().routes]


def _change(
    state: State, place: PlaceIn, caller: Any, routes: list[str], act: Callable[..., tuple[Switch, ...]]
) -> SwitchesOut:
    try:
        check(place.route, place.lever, place.reason, routes)
        done = act(place.route, place.lever, actor=_name(caller), reason=place.reason)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    except StoreError as error:
        raise HTTPException(503, f"nothing was switched: {error}") from error
    return _told(state, done)


def _told(state: State, done: Iterable[Switch]) -> SwitchesOut:
    last = state.switches.policy_change
    return SwitchesOut(
        done=[_out(switch) for switch in done],
        off=[_out(switch) for switch in state.switches.current().standing],
        off_here=state.off,
        redis=state.switches.states["redis"],
        ledger=state.switches.states["ledger"],
        policy_change=_policy_change(last) if last else None,
    )


def _policy_change(last: PolicyChange) -> PolicyChangeOut:
    return PolicyChangeOut(at=_time(last.at), by=last.actor, old=last.old, new=last.new, changes=last.changes)


def _out(switch: Switch) -> SwitchOut:
    kind: Literal["off", "retreat"] = "retreat" if switch.action is Action.RETREAT else "off"
    return SwitchOut(
        route=switch.route, lever=switch.lever, kind=kind, at=_time(switch.at), by=switch.actor, reason=switch.reason
    )


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _name(caller: Any) -> str:
    """Who did it, as people know them: the key's alias, else the user, else the start of the key's hash."""
    return str(getattr(caller, "key_alias", None) or getattr(caller, "user_id", None) or f"key {key_name(caller)[:12]}")
