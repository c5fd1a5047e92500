"""The filter as a process: a gRPC server with a health service, on TCP or a Unix socket, until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import grpc
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from fivelevers import metrics
from fivelevers.errors import FilterError
from fivelevers.proxies.envoy.deciding import InForce
from fivelevers.proxies.envoy.service import MAX_BODY_BYTES, SERVICE, Processor
from fivelevers.stores.policy_file import PolicyFile
from fivelevers.stores.switches import Switches, off_at_start
from fivelevers.switch import EVERY_LEVER

GRACE_S = 5.0
_SWITCHES_S = 2.0  # how long the first look into Redis may take before requests are decided without it
_SPARE_BYTES = 1 << 20  # of a message beside its body: headers, attributes

_log = logging.getLogger("fivelevers")


class Sources:
    """Where the policy and the switches come from, for as long as the process lives."""

    def __init__(self, policy: Path | None, redis_url: str) -> None:
        self._policy = PolicyFile(policy)
        self._switches = Switches(redis_url, "")
        self._off = off_at_start()
        self._switches.start(_SWITCHES_S)

    def now(self) -> InForce:
        board = self._switches.current()
        return InForce(self._policy.current(), (lambda _: EVERY_LEVER) if self._off else board.off, board.retreated)

    def close(self) -> None:
        self._policy.close()
        self._switches.close()


def serve(listen: str, policy: Path | None, redis_url: str, metrics_at: tuple[str, int] | None) -> None:
    """Until SIGTERM or SIGINT. ``listen``: host:port, or unix:/path. Raises FilterError where it can not listen."""
    if policy is None:
        _log.warning("fivelevers: no policy is given (FIVELEVERS_POLICY): every request goes live")
    if metrics_at is not None:
        try:
            metrics.serve(*metrics_at)
        except OSError as error:
            raise FilterError(f"--metrics {metrics_at[0]}:{metrics_at[1]}: {error.strerror or error}") from error
    sources = Sources(policy, redis_url)
    try:
        asyncio.run(_serve(listen, Processor(sources.now)))
    finally:
        sources.close()


async def _serve(listen: str, processor: Processor) -> None:
    limit = ("grpc.max_receive_message_length", MAX_BODY_BYTES + _SPARE_BYTES)
    server = grpc.aio.server(options=[limit])
    checks = health.aio.HealthServicer()
    add_HealthServicer_to_server(checks, server)
    server.add_generic_rpc_handlers((processor.handler,))
    try:
        server.add_insecure_port(listen)
    except RuntimeError as error:
        raise FilterError(f"--listen {listen}: {error}") from error
    await server.start()
    for name in ("", SERVICE):
        await checks.set(name, HealthCheckResponse.SERVING)
    _log.info("fivelevers: the filter listens on %s", listen)
    await _asked_to_stop()
    await checks.enter_graceful_shutdown()
    await server.stop(GRACE_S)


async def _asked_to_stop() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
