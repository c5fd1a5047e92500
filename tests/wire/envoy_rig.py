"""Envoy on the shipped file with a witness behind it and a filter beside it, good or bad."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from fivelevers.embedded import commands, envoy_config
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process
from tests.redis_server import soon

ROOT = Path(__file__).parents[2]
ENVOY_YAML = ROOT / "envoy/envoy.yaml"
CHAT = "/v1/chat/completions"
LANE = "/fivelevers/lane"
PIPELINE = {"host": "pipelines.example"}
ASYNC = {"prefer": "respond-async"}
_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request as it reached the proxy."""

    id: str
    path: str
    headers: Mapping[str, str]
    body_bytes: int

    @property
    def diverted(self) -> bool:
        return self.path.startswith(f"{LANE}/")


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    arrived: tuple[Arrived, ...]

    @property
    def once(self) -> Arrived:
        """The one time that it was executed."""
        assert self.status == 200
        (arrived,) = self.arrived
        return arrived


class Witness:
    """What stands for the proxy and its lane: answers everything with 200, and has seen each request."""

    def __init__(self) -> None:
        self.seen: list[Arrived] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = len(self.rfile.read(int(self.headers.get("content-length", 0))))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if "x-id" in headers:
                    seen.append(Arrived(headers["x-id"], self.path, headers, size))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_DELETE = do_POST  # noqa: N815  named by the base class

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def executions(self) -> Counter[str]:
        return Counter(each.id for each in self.seen)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Rig:
    """``limit``: how long the filter may take for a message."""

    def __init__(self, folder: Path, policy: str, limit: str = "5s") -> None:
        self.folder, self.limit = folder, limit
        self.policy = folder / "policy.yaml"
        self.policy.write_text(policy)
        self.witness = Witness()
        self._ports = {name: Port() for name in ("envoy", "admin", "filter", "metrics")}
        self._envoy: Process | None = None
        self._filter: Process | None = None

    def port(self, name: str) -> int:
        return self._ports[name].number

    def config(self) -> dict[str, Any]:
        """The shipped file on this rig's ports."""
        text = envoy_config.bound(
            ENVOY_YAML,
            listener=self.port("envoy"),
            admin=self.port("admin"),
            litellm=self.witness.port,
            filter_=self.port("filter"),
        )
        # On a busy machine a good filter may take its time; what a bad one may take is shown by the failures' tests.
        read: dict[str, Any] = yaml.safe_load(text.replace("message_timeout: 0.3s", f"message_timeout: {self.limit}"))
        return read

    def start_envoy(self, config: dict[str, Any] | None = None) -> None:
        file = self.folder / "envoy.yaml"
        file.write_text(yaml.safe_dump(config or self.config()))
        # With one worker, what one request has seen of the filter the next one has too.
        command = commands.envoy(os.environ, file, concurrency=1)
        self._envoy = Process("envoy", command, log=self.folder / "envoy.log", env=os.environ, cwd=self.folder)
        self._envoy.wait_until(lambda: http_ok(f"http://{HOST}:{self.port('envoy')}/health"), _LIMIT_S)

    def start_filter(self, *, redis_url: str = "", listen: str = "", probe: Mapping[str, str] = ASYNC) -> None:
        """The real one. ``probe``: headers of a request that it diverts."""
        at, metrics = (f"{HOST}:{self.port(name)}" for name in ("filter", "metrics"))
        arguments = ["--listen", listen or at, "--policy", str(self.policy), "--metrics", metrics, "--redis", redis_url]
        self.run_filter([sys.executable, "-m", "fivelevers", "ext-proc", *arguments], probe)

    def run_filter(self, command: list[str], probe: Mapping[str, str] = ASYNC) -> None:
        """Any program that listens on the filter's port; back when it has diverted a request."""
        self._filter = Process("filter", command, log=self.folder / "filter.log", env=os.environ, cwd=ROOT)
        self._filter.wait_until(lambda: self.ask(headers=probe).once.diverted, _LIMIT_S)

    def stop_filter(self) -> None:
        """Back when Envoy has seen that too."""
        if self._filter is not None:
            self._filter.stop()
            self._filter = None
            assert soon(lambda: self.filter_hosts() == 0)

    @property
    def filter_pid(self) -> int:
        assert self._filter is not None
        return self._filter.pid

    def filter_log(self) -> str:
        return (self.folder / "filter.log").read_text()

    def ask(
        self, path: str = CHAT, headers: Mapping[str, str] | None = None, body: object = None, method: str = "POST"
    ) -> Answered:
        """One request through Envoy, and how often it was executed."""
        name = uuid.uuid4().hex
        sent = (
            json.dumps({"model": "ticket-a"} if body is None else body).encode()
            if not isinstance(body, bytes)
            else body
        )
        connection = http.client.HTTPConnection(HOST, self.port("envoy"), timeout=_LIMIT_S)
        try:
            connection.request(
                method, path, sent, {"content-type": "application/json", "x-id": name, **(headers or {})}
            )
            answer = connection.getresponse()
            answer.read()
            told = {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()
        return Answered(answer.status, told, tuple(each for each in self.witness.seen if each.id == name))

    def stat(self, name: str) -> int:
        """A counter of the filter's in Envoy; 0 where it has none yet."""
        return self._stats(f"http.models.ext_proc.fivelevers.{name}")

    def filter_hosts(self) -> int:
        """How many endpoints of the filter Envoy believes in."""
        return self._stats("cluster.fivelevers_filter.membership_healthy")

    def lane_requests(self) -> int:
        """How many requests the lane's cluster had."""
        return self._stats("cluster.lane.upstream_rq_total")

    def _stats(self, name: str) -> int:
        read = self.admin("GET", f"/stats?format=json&filter=^{name}$")
        return next((int(each["value"]) for each in json.loads(read)["stats"] if each.get("name") == name), 0)

    def admin(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection(HOST, self.port("admin"), timeout=_LIMIT_S)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        self.stop_filter()
        if self._envoy is not None:
            self._envoy.stop()
        self.witness.close()
        for port in self._ports.values():
            port.release()
