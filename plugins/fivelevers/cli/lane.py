"""`fivelevers lane`: the batch lane in a process of its own, in front of the proxies."""

from __future__ import annotations

import logging
import signal
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.batch import LaneRedis
from fivelevers.errors import ProxyError, StoreError


def lane(
    *,
    litellm: Annotated[
        str, typer.Option(help="The proxies, by a URL that leads to any of them and not through Envoy.")
    ],
    listen: Annotated[str, typer.Option(help="host:port.")] = "127.0.0.1:4010",
    redis: LaneRedis = "",
) -> None:
    """Hold callers that wait for hours, so that proxies may restart without losing them.

    The proxies accept what it is sent, by their own rules, and their workers send the batches. In Envoy it stands in
    the cluster `lane` before the proxies, which take over while it is ill. Start as many as you like. SIGTERM ends it
    within seconds: who is held then asks again, and finds its request. It reads results, so that it needs the proxies'
    FIVELEVERS_CONTENT_KEY where they have one.

    Exit code 0: it was asked to stop; 2: it could not start.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    host, _, port = listen.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise _fail(f"--listen: {listen!r} is no address; write host:port, such as 127.0.0.1:4010")
    if not litellm.startswith(("http://", "https://")):
        raise _fail(f"--litellm: {litellm!r} is no URL; write http://host:port")
    if not redis:
        raise _fail("FIVELEVERS_LANE_REDIS_URL is not set, and no --redis given: the one of the proxies")
    try:
        import uvicorn

        from fivelevers.lane.standalone import Front
        from fivelevers.providers.proxy_calls import ProxyCalls
        from fivelevers.stores.lane import Lane
    except ModuleNotFoundError as error:
        raise _fail(f"{error}: pip install 'fivelevers[lane]'") from error
    try:
        front = Front(Lane(redis), ProxyCalls(litellm))
    except (StoreError, ProxyError) as error:
        raise _fail(str(error)) from error
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn ends in order, and then raises what it was ended by
        signal.signal(number, lambda *_: None)
    uvicorn.run(
        front,
        host=host or "127.0.0.1",
        port=int(port),
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,  # those that are held would keep it for hours
    )


def _fail(why: str) -> typer.Exit:
    Console(stderr=True, highlight=False).print(f"fivelevers lane: {why}", markup=False, soft_wrap=True)
    return typer.Exit(2)
