"""`fivelevers ext-proc`: the filter that tells Envoy which requests may wait for a batch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.switching import RedisUrl
from fivelevers.errors import FilterError


def ext_proc(
    *,
    listen: Annotated[str, typer.Option(help="host:port, or unix:/path/of/a.sock.")] = "127.0.0.1:9902",
    policy: Annotated[
        Path | None, typer.Option(envvar="FIVELEVERS_POLICY", help="The policy file; read again when it changes.")
    ] = None,
    redis: RedisUrl = "",
    metrics: Annotated[str, typer.Option(help="host:port where Prometheus scrapes; none: nothing listens.")] = "",
) -> None:
    """Answer Envoy's ext_proc filter: "batch" for requests that may wait, "live" for all others. It holds nothing.

    Without it, and whatever goes wrong in it, requests go live. Start as many as there is work for, each an endpoint of
    Envoy's cluster. SIGTERM ends it: its health check fails first, open streams have 5 s.

    Exit code 0: it was asked to stop; 2: it could not listen, or lacks the extra `envoy`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        from fivelevers.proxies.envoy.serving import serve
    except ModuleNotFoundError as error:
        raise _fail(f"{error}: pip install 'fivelevers[envoy]'") from error
    try:
        serve(listen, policy, redis, _address(metrics) if metrics else None)
    except (FilterError, ValueError) as error:
        raise _fail(str(error)) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"--metrics: {text!r} is no address; write host:port, such as 127.0.0.1:9903")
    return host or "127.0.0.1", int(port)


def _fail(why: str) -> typer.Exit:
    Console(stderr=True, highlight=False).print(f"fivelevers ext-proc: {why}", markup=False, soft_wrap=True)
    return typer.Exit(2)
