"""The command lines of the stack's processes."""

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from fivelevers.embedded import binaries
from fivelevers.embedded.ports import HOST
from fivelevers.errors import StackError

# uvicorn kills a worker that misses its ping for 5 s; on a busy machine a worker that still imports does.
_WORKER_PING_LIMIT_S = 120
# Longer than Envoy keeps an idle connection, so that Envoy never sends into one that is just being closed.
_KEEPALIVE_S = 75


def redis(env: Mapping[str, str], port: int) -> list[str]:
    """A cache: evicts when full, keeps nothing on disk."""
    command = [str(binaries.redis_server(env)), "--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"]
    command += ["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
    for module in binaries.redis_modules(env):
        command += ["--loadmodule", str(module)]
    return command


def lane_redis(env: Mapping[str, str], port: int, folder: Path) -> list[str]:
    """Accepted batch work: nothing is evicted, and all of it is on the disk within a second."""
    command = [str(binaries.redis_server(env)), "--bind", HOST, "--port", str(port), "--dir", str(folder)]
    return [*command, "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]


def batch_filter(port: int, policy: Path, redis_url: str) -> list[str]:
    """Envoy's filter of lever 3, by the interpreter that runs us."""
    command = [sys.executable, "-m", "fivelevers", "ext-proc", "--listen", f"{HOST}:{port}"]
    return [*command, "--policy", str(policy), "--redis", redis_url]


def simulator(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "examples.provider_simulator", "--host", HOST, "--port", "0", *arguments]


def litellm(config: Path, port: int, workers: int) -> list[str]:
    """What `litellm --config ...` runs, by the interpreter that runs us."""
    if find_spec("litellm") is None:
        raise StackError("no LiteLLM in this environment: install fivelevers[embedded]")
    entry = "from litellm import run_server; run_server()"
    command = [sys.executable, "-c", entry, "--config", str(config), "--host", HOST, "--port", str(port)]
    command += ["--num_workers", str(workers), "--keepalive_timeout", str(_KEEPALIVE_S)]
    return [*command, "--timeout_worker_healthcheck", str(_WORKER_PING_LIMIT_S)]


def envoy(env: Mapping[str, str], config: Path, concurrency: int = 2) -> list[str]:
    """Without hot restart, whose shared memory other Envoys on this machine would contend for. Logs within a second."""
    command = [str(binaries.envoy(env)), "--config-path", str(config), "--concurrency", str(concurrency)]
    return [*command, "--disable-hot-restart", "--file-flush-interval-msec", "1000"]
