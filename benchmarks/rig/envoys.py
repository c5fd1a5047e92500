"""Envoy alone, Envoy with the filter, and what both stand in front of: a third one that answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.rig.proxies import ROOT, Proxy
from fivelevers.embedded import commands, envoy_config
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process

POLICY = "routes: [{name: tickets, match: {model: ticket-*}, levers: {batch: {mode: on, inspect: body}}}]"
LEVER_3 = ("lane", "fivelevers_filter")  # its clusters
_LIMIT_S = 30.0
_TYPES = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True, slots=True)
class Envoys:
    """Each with one worker. ``processor`` is the filter's process."""

    alone: Proxy
    filtered: Proxy
    processor: Proxy
    admin_port: int  # of the filtered one


@contextmanager
def running(folder: Path) -> Iterator[Envoys]:
    """All four processes, and the filter known to its Envoy."""
    (folder / "policy.yaml").write_text(POLICY)
    names = ("upstream", "upstream-admin", "alone", "alone-admin", "filtered", "admin", "filter")
    with ExitStack() as stack:
        reserved = {name: Port() for name in names}
        for port in reserved.values():
            stack.callback(port.release)
        ports = {name: port.number for name, port in reserved.items()}
        _envoy(stack, folder, "upstream", _upstream(ports["upstream"], ports["upstream-admin"]), ports["upstream"])
        listen = f"{HOST}:{ports['filter']}"
        command = [sys.executable, "-m", "fivelevers", "ext-proc", "--listen", listen]
        command += ["--policy", str(folder / "policy.yaml"), "--redis", ""]
        processor = _started(stack, folder, "filter", command)
        shipped = _shipped(ports["filtered"], ports["admin"], ports["upstream"], ports["filter"])
        alone = _without_filter(_shipped(ports["alone"], ports["alone-admin"], ports["upstream"], ports["filter"]))
        yield Envoys(
            _envoy(stack, folder, "alone", alone, ports["alone"]),
            _envoy(stack, folder, "filtered", shipped, ports["filtered"]),
            Proxy(ports["filter"], processor.pid),
            ports["admin"],
        )


def _envoy(stack: ExitStack, folder: Path, name: str, config: dict[str, Any], port: int) -> Proxy:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    process = _started(stack, folder, name, commands.envoy(os.environ, file, concurrency=1))
    process.wait_until(lambda: http_ok(f"http://{HOST}:{port}/"), _LIMIT_S)
    return Proxy(port, process.pid)


def _started(stack: ExitStack, folder: Path, name: str, command: list[str]) -> Process:
    process = Process(name, command, log=folder / f"{name}.log", env=os.environ, cwd=ROOT)
    stack.callback(process.stop)
    return process


def _shipped(listener: int, admin: int, upstream: int, filter_: int) -> dict[str, Any]:
    """envoy/envoy.yaml on these ports; where the upstream is healthy is not what is measured."""
    file = ROOT / "envoy/envoy.yaml"
    text = envoy_config.bound(file, listener=listener, admin=admin, litellm=upstream, filter_=filter_)
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def _without_filter(config: dict[str, Any]) -> dict[str, Any]:
    """The same Envoy as it is without lever 3: no filter, no clusters of its own, the one route."""
    resources = config["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [each for each in manager["http_filters"] if "ext_proc" not in each["name"]]
    hosts = manager["route_config"]["virtual_hosts"]
    manager["route_config"]["virtual_hosts"] = [{**hosts[-1], "routes": [hosts[-1]["routes"][-1]]}]
    resources["clusters"] = [each for each in resources["clusters"] if each["name"] not in LEVER_3]
    return config


def _upstream(listener: int, admin: int) -> dict[str, Any]:
    """Reads each body to its end, then answers `lane` or `live`."""
    routes = [
        {"match": {"prefix": prefix}, "direct_response": {"status": 200, "body": {"inline_string": said}}}
        for prefix, said in (("/fivelevers/lane/", "lane"), ("/", "live"))
    ]
    buffer = {"@type": f"{_TYPES}.http.buffer.v3.Buffer", "max_request_bytes": 1 << 20}
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstream",
        "http_filters": [
            {"name": "envoy.filters.http.buffer", "typed_config": buffer},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
            },
        ],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {
        "admin": {"address": _address(admin)},
        "static_resources": {"listeners": [{"address": _address(listener), "filter_chains": [chain]}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
