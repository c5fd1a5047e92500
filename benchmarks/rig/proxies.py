"""Two LiteLLM processes in front of one provider simulator, equal in everything but the plugin's callback line."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fivelevers.embedded import commands, environment
from fivelevers.embedded.health import http_ok, redis_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process

ROOT = Path(__file__).parents[2]
KEYS = ROOT / "examples/traffic/keys.yaml"
_SIMULATOR_URL = re.compile(r"provider simulator on (http://\S+)")
_BOOT_LIMIT_S = 180.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MB = 1e6
Levers = Mapping[str, Mapping[str, Any]]  # what the policy says of each, by its name


@dataclass(frozen=True, slots=True)
class Proxy:
    """One running LiteLLM with a single worker, asked directly."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor time of all its threads since its start; a clock tick (10 ms) is the finest step."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def rss_mb(self) -> float:
        """Resident memory in 10^6 bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB


@dataclass(frozen=True, slots=True)
class Pair:
    bare: Proxy
    ours: Proxy


@contextmanager
def simulator(folder: Path, latency_scale: float = 0) -> Iterator[str]:
    """The provider simulator, answering at once, or at 1 as slowly as a provider does; its URL."""
    command = commands.simulator(("--latency-scale", str(latency_scale)))
    env = {**environment.inherited({}, simulated=True), "PYTHONUNBUFFERED": "1"}
    process = Process("simulator", command, log=folder / "simulator.log", env=env, cwd=ROOT)
    try:
        process.wait_until(lambda: bool(_SIMULATOR_URL.search(process.output())), _BOOT_LIMIT_S)
        yield _SIMULATOR_URL.findall(process.output())[0]
    finally:
        process.stop()


@contextmanager
def redis(folder: Path, *arguments: str) -> Iterator[str]:
    """An empty Redis with the query engine; its URL. ``arguments``: what else stands on its command line."""
    port = Port()
    env = environment.inherited({}, simulated=True)
    command = [*commands.redis(env, port.number), *arguments]
    process = Process("redis", command, log=folder / "redis.log", env=env, cwd=folder)
    try:
        process.wait_until(lambda: redis_ok(HOST, port.number), _BOOT_LIMIT_S)
        yield f"redis://{HOST}:{port.number}/0"
    finally:
        process.stop()
        port.release()


@contextmanager
def booted(folder: Path, simulator_url: str, levers: Levers) -> Iterator[Pair]:
    """Both proxies, freshly booted, and a Redis; ``levers`` stand on every route."""
    folder.mkdir()
    env = {**environment.inherited({}, simulated=True), **environment.LITELLM_QUIET}
    env |= environment.upstream(simulator_url)
    env |= {"LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(24)}", "FIVELEVERS_KEYS": str(KEYS)}
    env |= {"FIVELEVERS_POLICY": str(_policy(folder, levers)), "FIVELEVERS_STATE_DIR": str(folder / "state")}
    env["FIVELEVERS_LEDGER_URL"] = f"sqlite:///{folder}/ledger.db"
    with ExitStack() as running:
        env["FIVELEVERS_REDIS_URL"] = running.enter_context(redis(folder))
        ports = {name: Port() for name in ("bare", "ours")}
        processes = {name: _start(running, folder, name, port.number, env) for name, port in ports.items()}
        for port in ports.values():
            running.callback(port.release)
        for name, process in processes.items():
            url = f"http://{HOST}:{ports[name].number}/health/readiness"
            process.wait_until(lambda url=url: http_ok(url), _BOOT_LIMIT_S)  # type: ignore[misc]  # bound at once
        yield Pair(*(Proxy(ports[name].number, processes[name].pid) for name in ("bare", "ours")))


def _start(running: ExitStack, folder: Path, name: str, port: int, env: dict[str, str]) -> Process:
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(_config(plugin=name == "ours")))
    process = Process(name, commands.litellm(config, port, 1), log=folder / f"{name}.log", env=env, cwd=folder)
    running.callback(process.stop)
    return process


def _config(*, plugin: bool) -> dict[str, Any]:
    """The shipped config. Without the plugin it keeps the key file, so that both check keys in the same way."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text(encoding="utf-8"))
    if not plugin:
        del config["litellm_settings"]["callbacks"]
    return config


def _policy(folder: Path, levers: Levers) -> Path:
    """The routes of the shipped policy with these levers."""
    policy = yaml.safe_load((ROOT / "litellm_config/fivelevers.yaml").read_text(encoding="utf-8"))
    for level in (policy["defaults"], *policy["routes"]):
        level.pop("levers", None)
    policy["defaults"] |= {"levers": {name: dict(settings) for name, settings in levers.items()}}
    path = folder / "fivelevers.yaml"
    path.write_text(yaml.safe_dump(policy))
    return path
