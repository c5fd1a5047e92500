"""The users' envoy.yaml, bound to the stack's own addresses; everything else in it runs as it stands."""

from pathlib import Path
from typing import Any

import yaml

from fivelevers.embedded.ports import HOST
from fivelevers.errors import StackError


def bound(source: Path, *, listener: int, admin: int, litellm: int, filter_: int) -> str:
    """YAML text: the first listener, the admin interface and the cluster `litellm` on these loopback ports.

    So are the clusters of lever 3, where there are some: the lane's at LiteLLM, and the filter's.
    """
    config: dict[str, Any] = yaml.safe_load(source.read_text())
    try:
        resources = config["static_resources"]
        resources["listeners"][0]["address"] = _address(listener)
        config["admin"]["address"] = _address(admin)
        clusters = {each["name"]: each for each in resources["clusters"]}
        clusters["litellm"]["load_assignment"]["endpoints"] = _endpoint(litellm)
        for name, port in (("lane", litellm), ("fivelevers_filter", filter_)):
            if name in clusters:
                clusters[name]["load_assignment"]["endpoints"] = _endpoint(port)
    except (KeyError, IndexError, TypeError) as error:
        raise StackError(
            f"{source}: needs static_resources.listeners[0], admin and a static cluster named `litellm` ({error!r});"
            " compare it with envoy/envoy.yaml"
        ) from error
    return yaml.safe_dump(config, sort_keys=False)


def _endpoint(port: int) -> list[dict[str, Any]]:
    return [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
