"""What an audit has a line for: the route of a call, its team, its key or its model."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fivelevers.audit.calls import LoggedCall
    from fivelevers.policy import Policy


class By(StrEnum):
    ROUTE = "route"
    TEAM = "team"
    KEY = "key"
    MODEL = "model"


def group_of(call: LoggedCall, by: By, policy: Policy | None) -> str:
    """Where a call is counted. Without a policy the route is the alias, unless the log knows the route."""
    caller = call.caller
    if by is By.TEAM:
        return caller.team_alias or caller.team or "(no team)"
    if by is By.KEY:
        return caller.key_alias or caller.key[:12]
    if by is By.MODEL:
        return call.model
    return call.route if policy is None and call.route else _route(call, policy)


def _route(call: LoggedCall, policy: Policy | None) -> str:
    return call.alias if policy is None else policy.match(call.caller, call.alias).name
