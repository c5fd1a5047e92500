"""The Redis of the batch lane, as it is to be run: AOF, and nothing is evicted."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from fivelevers.embedded import binaries
from fivelevers.embedded.health import redis_ok
from fivelevers.embedded.ports import HOST, Port


class Redis:
    """One that keeps what it accepts, unless it is ``forgetful``, and may be killed."""

    def __init__(self, folder: Path, *, forgetful: bool = False) -> None:
        self._port = Port(0)
        self.url = f"redis://{HOST}:{self._port.number}/0"
        command = [str(binaries.redis_server(os.environ)), "--bind", HOST, "--port", str(self._port.number)]
        command += [
            "--save",
            "",
            "--appendonly",
            "no" if forgetful else "yes",
            "--appendfsync",
            "everysec",
            "--dir",
            str(folder),
        ]
        self._command = [*command, "--maxmemory-policy", "noeviction"]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        while not redis_ok(HOST, self._port.number):
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._port.release()
