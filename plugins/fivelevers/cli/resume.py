"""`fivelevers resume`: lift what `fivelevers off`, or the guard, took out of force."""

from __future__ import annotations

from typing import Annotated

import typer

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir
from fivelevers.cli.switching import Key, LeverName, ProxyUrl, RedisUrl, RouteName, fail, show, way
from fivelevers.errors import StoreError
from fivelevers.switch import ANY, check


def resume(
    *,
    route: RouteName = ANY,
    lever: LeverName = ANY,
    reason: Annotated[str, typer.Option(help="Why: kept in the history.")] = "",
    url: ProxyUrl = "",
    key: Key = "",
    redis: RedisUrl = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Lift every switch and retreat inside a route and a lever; without either, all of them.

    What is off in a wider place stays off. Exit code 1: nothing was off there.
    """
    try:
        check(route, lever, reason, None)
        told = way(url, key, redis, ledger, state_dir).resume(route, lever, reason)
    except (StoreError, ValueError) as error:
        raise fail("resume", error) from error
    for line in told.done:
        typer.echo(f"resumed: {line.lever} on {line.route} ({line.kind} since {line.at:%Y-%m-%d %H:%M:%S} UTC)")
    if not told.done:
        typer.echo(f"nothing is off inside {lever} on {route}")
    show(told)
    if not told.done:
        raise typer.Exit(1)
