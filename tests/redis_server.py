"""A real Redis that a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from fivelevers.embedded import binaries
from fivelevers.embedded.health import redis_ok
from fivelevers.embedded.ports import HOST, Port

_FROM_SLOT = (0, 5462, 10923, 16384)


class Server:
    """``vectors``: with the query engine. ``arguments``: what else stands on its command line."""

    def __init__(self, folder: Path, *arguments: str, vectors: bool = False) -> None:
        self._folder, self._port = folder, Port(0)
        self._arguments = [*arguments]
        for module in binaries.redis_modules(os.environ) if vectors else []:
            self._arguments += ["--loadmodule", str(module)]
        self.url = f"redis://{HOST}:{self._port.number}/0"
        self.start()

    @property
    def port(self) -> int:
        return self._port.number

    def start(self) -> None:
        command = [str(binaries.redis_server(os.environ)), "--bind", HOST, "--port", str(self._port.number)]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--dir", str(self._folder), *self._arguments], stdout=subprocess.DEVNULL
        )
        assert soon(lambda: redis_ok(HOST, self._port.number))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """It keeps its connections and answers nothing, until ``go_on``."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def client(self) -> Redis:
        return Redis.from_url(self.url)

    def close(self) -> None:
        self.kill()
        self._port.release()


class Cluster:
    """Three nodes with the query engine, a third of the slots each."""

    def __init__(self, folder: Path) -> None:
        self._buses = [Port(0) for _ in _FROM_SLOT[1:]]
        self.nodes: list[Server] = []
        try:
            for n, bus in enumerate(self._buses):
                place = folder / f"node-{n}"
                place.mkdir()
                cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus.number))
                self.nodes.append(Server(place, *cluster, vectors=True))
            self._join()
        except BaseException:
            self.close()
            raise
        self.url = f"redis+cluster://{HOST}:{self.nodes[0].port}"

    def _join(self) -> None:
        for n, node in enumerate(self.nodes):
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", _FROM_SLOT[n], _FROM_SLOT[n + 1] - 1)
                client.execute_command("CLUSTER", "MEET", HOST, self.nodes[0].port, self._buses[0].number)
        assert soon(lambda: all(map(_sees_all, self.nodes)))

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        for bus in self._buses:
            bus.release()


def _sees_all(node: Server) -> bool:
    with node.client() as client:
        info = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info


def soon(look: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether it becomes true within the limit."""
    deadline = time.monotonic() + limit_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found
