"""The whole of it on one machine: Redis, the provider simulator, LiteLLM with the plugin, Envoy in front.

Where the policy batches, also the lane's Redis and Envoy's filter.

    with Stack(Path(".fivelevers")) as stack:
        ...  # stack.envoy_url takes what a provider's URL takes

Started in dependency order, each when the one before it answers; stopped in the opposite order. Everything listens on
127.0.0.1. Logs are in `<state_dir>/logs`, one file per process.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fivelevers.embedded import commands, environment, envoy_config
from fivelevers.embedded.claim import Claim
from fivelevers.embedded.files import StackFiles
from fivelevers.embedded.health import http_ok, port_taken, redis_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process, children_of, command_line
from fivelevers.errors import StackError
from fivelevers.order import Mode
from fivelevers.policy import read

_LIMIT_S = 60.0
_LITELLM_LIMIT_S = 180.0  # it imports for 10 s on an idle machine and for a minute on a busy one
_SIMULATOR_URL = re.compile(r"provider simulator on (http://\S+)")


class Stack:
    """One running stack; `start()` and `stop()`, or a `with` block.

    Files that are not given come from FIVELEVERS_POLICY and FIVELEVERS_KEYS, else from the checkout. `env` is laid over
    this process's environment; `port` is Envoy's (0: any free one). Without the simulator LiteLLM talks to the
    providers that its config and the environment name. `tell` gets a line for each step.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        workers: int = 1,
        config: Path | None = None,
        policy: Path | None = None,
        keys: Path | None = None,
        envoy: Path | None = None,
        simulator: bool = True,
        simulator_args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        port: int = 0,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.workers = workers
        self._env = environment.inherited(env or {}, simulated=simulator)
        self.files = StackFiles.find(self._env, config=config, policy=policy, keys=keys, envoy=envoy)
        self._simulator_args = simulator_args if simulator else None
        self._wanted_port = port
        self._tell = tell
        self.spool_dir = self.state_dir / "spool"
        self.logs_dir = self.state_dir / "logs"
        self.ledger_url = self._env.get("FIVELEVERS_LEDGER_URL") or f"sqlite:///{self.state_dir / 'ledger.db'}"
        self.master_key = self._env.get("LITELLM_MASTER_KEY") or f"sk-{secrets.token_hex(24)}"
        self.redis_url = self._env.get("FIVELEVERS_REDIS_URL", "")
        self.lane_redis_url = self._env.get("FIVELEVERS_LANE_REDIS_URL", "")
        self._batch_modes = _batch_modes(self.files.policy)
        self.simulator_url = ""
        self._claim: Claim | None = None
        self._ports: dict[str, Port] = {}
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def envoy_url(self) -> str:
        return self._url("envoy")

    @property
    def envoy_admin_url(self) -> str:
        return self._url("envoy-admin")

    @property
    def litellm_url(self) -> str:
        return self._url("litellm")

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each process by name: redis, lane-redis, simulator, litellm, filter, envoy."""
        return {name: process.pid for name, process in self._processes.items()}

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the proxy workers: with one worker LiteLLM's own, with more its supervisor's children."""
        litellm = self._processes["litellm"].pid
        if self.workers == 1:
            return [litellm]
        # The other child of multiprocessing's spawn is its resource tracker.
        return [pid for pid in children_of(litellm) if "spawn_main" in command_line(pid)]

    def start(self) -> None:
        """Start every process; StackError, with nothing left running, when one does not come up."""
        self._claim = Claim(self.state_dir)
        try:
            self.logs_dir.mkdir(exist_ok=True)
            self.spool_dir.mkdir(exist_ok=True)
            if "FIVELEVERS_REDIS_URL" not in self._env:
                self._start_redis()
            if Mode.ON in self._batch_modes and not self.lane_redis_url:
                self._start_lane_redis()
            if self._simulator_args is not None:
                self._start_simulator(self._simulator_args)
            self._start_litellm()
            if self._batch_modes and self.files.policy is not None:
                self._start_filter(self.files.policy)
            self._start_envoy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in the opposite order. Stopping twice, or what never started, is fine."""
        while self._processes:
            name, process = self._processes.popitem()
            self._tell(f"stopping {name}")
            process.stop()
        while self._ports:
            self._ports.popitem()[1].release()
        if self._claim:
            self._claim.release()
            self._claim = None

    def check(self) -> None:
        """StackError when a process has ended on its own."""
        for process in self._processes.values():
            process.check()

    def restart_litellm(self) -> None:
        """Stop LiteLLM and start it again on the same port; the others keep running."""
        self._processes["litellm"].stop()
        self._start_litellm()

    def kill_worker(self) -> int:
        """SIGKILL one proxy worker; its pid. LiteLLM's supervisor starts another, unless it was the only one."""
        pid = self.worker_pids[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def _start_redis(self) -> None:
        port = self._port("redis")
        redis = self._run("redis", commands.redis(self._env, port), self._env)
        redis.wait_until(lambda: redis_ok(HOST, port), _LIMIT_S)
        self.redis_url = f"redis://{HOST}:{port}/0"

    def _start_lane_redis(self) -> None:
        port, folder = self._port("lane-redis"), self.state_dir / "lane"
        folder.mkdir(exist_ok=True)
        redis = self._run("lane-redis", commands.lane_redis(self._env, port, folder), self._env)
        redis.wait_until(lambda: redis_ok(HOST, port), _LIMIT_S)
        self.lane_redis_url = f"redis://{HOST}:{port}/0"

    def _start_filter(self, policy: Path) -> None:
        port = self._port("filter")
        process = self._run("filter", commands.batch_filter(port, policy, self.redis_url), self._env)
        process.wait_until(lambda: port_taken(HOST, port), _LIMIT_S)

    def _start_simulator(self, arguments: Sequence[str]) -> None:
        root = self.files.simulator_root
        if root is None:
            raise StackError("no provider simulator here: run in a checkout of fivelevers, or without the simulator")
        env = {**self._env, "PYTHONUNBUFFERED": "1"}
        simulator = self._run("simulator", commands.simulator(arguments), env, cwd=root)
        simulator.wait_until(lambda: bool(_SIMULATOR_URL.search(simulator.output())), _LIMIT_S)
        self.simulator_url = _SIMULATOR_URL.findall(simulator.output())[0]
        simulator.wait_until(lambda: http_ok(f"{self.simulator_url}/sim/health"), _LIMIT_S)

    def _start_litellm(self) -> None:
        shutil.rmtree(self._prometheus_dir, ignore_errors=True)  # a dead worker's counters must not be counted again
        self._prometheus_dir.mkdir()
        port = self._port("litellm")
        litellm = self._run("litellm", commands.litellm(self.files.config, port, self.workers), self._litellm_env())
        litellm.wait_until(lambda: self._workers_up(litellm), _LITELLM_LIMIT_S)
        litellm.wait_until(lambda: http_ok(f"{self.litellm_url}/health/readiness"), _LITELLM_LIMIT_S)

    def _workers_up(self, litellm: Process) -> bool:
        """The port answers as soon as one worker does; only the log says that all of them do."""
        return litellm.output().count("Application startup complete") >= self.workers

    def _start_envoy(self) -> None:
        listener, admin = self._port("envoy", self._wanted_port), self._port("envoy-admin")
        config = self.state_dir / "envoy.yaml"
        litellm = self._ports["litellm"].number
        filter_ = self._port("filter")  # also where none runs: then nobody else's may answer
        text = envoy_config.bound(self.files.envoy, listener=listener, admin=admin, litellm=litellm, filter_=filter_)
        config.write_text(text)
        envoy = self._run("envoy", commands.envoy(self._env, config), self._env)
        # Through the listener to LiteLLM: this waits for Envoy's own health check of it too.
        envoy.wait_until(lambda: http_ok(f"{self.envoy_url}/health/liveliness"), _LIMIT_S)

    def _litellm_env(self) -> dict[str, str]:
        """LiteLLM's variables and the plugin's."""
        files = {"FIVELEVERS_POLICY": self.files.policy, "FIVELEVERS_KEYS": self.files.keys}
        env = {**self._env, **environment.LITELLM_QUIET, **{name: str(path) for name, path in files.items() if path}}
        if self.simulator_url:
            env |= environment.upstream(self.simulator_url)
        if self.workers > 1:
            env["PROMETHEUS_MULTIPROC_DIR"] = str(self._prometheus_dir)
        return env | {
            "LITELLM_MASTER_KEY": self.master_key,
            "FIVELEVERS_STATE_DIR": str(self.state_dir),
            "FIVELEVERS_REDIS_URL": self.redis_url,
            "FIVELEVERS_LANE_REDIS_URL": self.lane_redis_url,
            "FIVELEVERS_LEDGER_URL": self.ledger_url,
        }

    def _run(self, name: str, command: list[str], env: Mapping[str, str], cwd: Path | None = None) -> Process:
        self._tell(f"starting {name}")
        log = self.logs_dir / f"{name}.log"
        process = Process(name, command, log=log, env=env, cwd=cwd or self.state_dir)
        self._processes[name] = process
        return process

    def _port(self, name: str, wanted: int = 0) -> int:
        """The port reserved under this name; the same one after a restart."""
        if name not in self._ports:
            self._ports[name] = Port(wanted)
        return self._ports[name].number

    def _url(self, name: str) -> str:
        return f"http://{HOST}:{self._ports[name].number}"

    @property
    def _prometheus_dir(self) -> Path:
        return self.state_dir / "prometheus"


def _batch_modes(policy: Path | None) -> set[Mode]:
    """In which modes routes of a policy batch, or would. A broken one batches nothing, and LiteLLM's log says why."""
    reading = read(policy) if policy else None
    routes = reading.policy.routes if reading and reading.policy else ()
    return {route.levers.batch.mode for route in routes} & {Mode.ON, Mode.SHADOW}
