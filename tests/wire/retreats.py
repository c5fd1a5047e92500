"""What `fivelevers demo --retreat` has beside the shipped config and policy, from its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_EXAMPLE = Path(__file__).parents[2] / "examples/retreat"


def _read(name: str) -> Any:
    return yaml.safe_load((_EXAMPLE / name).read_text())


_POLICY = _read("fivelevers.yaml")
MODELS: list[dict[str, Any]] = _read("litellm.yaml")["model_list"]
ROUTES: list[dict[str, Any]] = [
    _POLICY["defaults"] | route | {"levers": _POLICY["defaults"]["levers"] | route["levers"]}
    for route in _POLICY["routes"]
]
