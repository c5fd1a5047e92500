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


class Server:
    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, Port(0)
        self.url = f"redis://{HOST}:{self._port.number}/0"
        self.start()

    def start(self) -> None:
        command = [str(binaries.redis_server(os.environ)), "--bind", HOST, "--port", str(self._port.number)]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--dir", str(self._folder)], stdout=subprocess.DEVNULL
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


def soon(look: Callable[[], bool], limit_s: float = 20.0) -> bool:
    """Whether it becomes true within the limit."""
    deadline = time.monotonic() + limit_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found
