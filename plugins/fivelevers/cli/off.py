"""`fivelevers off`: take levers out of force, now and on every replica."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir
from fivelevers.cli.switching import Key, LeverName, ProxyUrl, RedisUrl, RouteName, fail, show, way
from fivelevers.errors import PolicyError, StoreError
from fivelevers.policy import load
from fivelevers.switch import ANY, check

PolicyPath = Annotated[
    str, typer.Option("--policy", envvar="FIVELEVERS_POLICY", help="The policy, to check the route's name against.")
]


def off(
    *,
    route: RouteName = ANY,
    lever: LeverName = ANY,
    reason: Annotated[str, typer.Option(help="Why: kept in the history, shown to whoever looks.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="Only show what is off now.")] = False,
    url: ProxyUrl = "",
    key: Key = "",
    redis: RedisUrl = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
    policy: PolicyPath = "",
) -> None:
    """Switch a lever off, or all of them, on a route or everywhere. Requests are answered and metered all the same.

    Works on Redis and the ledger, with or without a running proxy; with --url through a proxy. Replicas follow within a
    second, and after a restart. `fivelevers resume` lifts it.
    """
    try:
        reach = way(url, key, redis, ledger, state_dir)
        if list_:
            show(reach.look())
            return
        check(route, lever, _stated(reason), None if url else known_routes(policy))
        told = reach.off(route, lever, reason)
    except (StoreError, ValueError) as error:
        raise fail("off", error) from error
    typer.echo(f"switched off: {lever} on {route}" if (lever, route) != (ANY, ANY) else "switched off: every lever")
    show(told)


def _stated(reason: str) -> str:
    if not reason:
        raise ValueError("--reason: is missing; say in a line why, for whoever looks at it later")
    return reason


def known_routes(policy: str) -> list[str] | None:
    """The names of the policy's routes; None where there is no policy to read: that must not keep anybody from it."""
    try:
        return [route.name for route in load(Path(policy)).routes] if policy else None
    except PolicyError:
        return None
